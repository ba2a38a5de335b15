#include "db/sql_imports.h"

#include <utility>

namespace hone::sql_imports {

Status AddImported(SqlConnection& connection, absl::Span<const ImportedCost> costs,
                   const ImportProgress& progress) {
  HONE_ASSIGN_OR_RETURN(
      const SqlCursor add,
      connection.Prepare(
          "INSERT INTO imported_cost(source, workload_key, target, workload, format, costs, "
          "cost_ns, line, unix_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) "
          "ON CONFLICT (source, workload_key, target) DO UPDATE SET "
          "costs = imported_cost.costs + excluded.costs, "
          "line = CASE WHEN excluded.cost_ns < imported_cost.cost_ns THEN excluded.line "
          "ELSE imported_cost.line END, "
          "unix_ms = CASE WHEN excluded.cost_ns < imported_cost.cost_ns THEN excluded.unix_ms "
          "ELSE imported_cost.unix_ms END, "
          "cost_ns = CASE WHEN excluded.cost_ns < imported_cost.cost_ns THEN excluded.cost_ns "
          "ELSE imported_cost.cost_ns END"));
  for (const ImportedCost& cost : costs) {
    add->BindText(1, progress.source);
    add->BindText(2, cost.workload_key);
    add->BindText(3, cost.target);
    add->BindText(4, cost.workload);
    add->BindText(5, cost.format);
    add->BindInteger(6, cost.costs);
    add->BindReal(7, cost.cost_ns);
    add->BindInteger(8, cost.line);
    add->BindInteger(9, cost.unix_ms);
    HONE_RETURN_IF_ERROR(add->Run());
  }
  HONE_ASSIGN_OR_RETURN(
      const SqlCursor note,
      connection.Prepare("INSERT INTO import_progress(source, lines, bytes) VALUES (?1, ?2, ?3) "
                         "ON CONFLICT (source) DO UPDATE SET lines = excluded.lines, "
                         "bytes = excluded.bytes"));
  note->BindText(1, progress.source);
  note->BindInteger(2, progress.lines);
  note->BindInteger(3, progress.bytes);
  return note->Run();
}

StatusOr<std::optional<ImportProgress>> FindImport(SqlConnection& connection,
                                                   absl::string_view source) {
  HONE_ASSIGN_OR_RETURN(
      const SqlCursor find,
      connection.Prepare("SELECT lines, bytes FROM import_progress WHERE source = ?1"));
  find->BindText(1, source);
  HONE_ASSIGN_OR_RETURN(const bool row, find->Step());
  if (!row) return std::optional<ImportProgress>();
  return std::optional<ImportProgress>(
      {.source = std::string(source), .lines = find->Integer(0), .bytes = find->Integer(1)});
}

StatusOr<std::vector<ImportedCost>> SummarizeImported(SqlConnection& connection) {
  HONE_ASSIGN_OR_RETURN(
      const SqlCursor row,
      connection.Prepare("SELECT workload_key, target, workload, format, costs, cost_ns, line, "
                         "unix_ms FROM imported_cost ORDER BY workload_key, target, cost_ns"));
  std::vector<ImportedCost> costs;
  while (true) {
    HONE_ASSIGN_OR_RETURN(const bool there, row->Step());
    if (!there) return costs;
    ImportedCost cost = {.workload_key = row->Text(0),
                         .target = row->Text(1),
                         .workload = row->Text(2),
                         .format = row->Text(3),
                         .costs = row->Integer(4),
                         .cost_ns = row->Real(5),
                         .line = row->Integer(6),
                         .unix_ms = row->Integer(7)};
    // Of several logs the best comes first.
    if (!costs.empty() && costs.back().workload_key == cost.workload_key &&
        costs.back().target == cost.target) {
      costs.back().costs += cost.costs;
    } else {
      costs.push_back(std::move(cost));
    }
  }
}

StatusOr<std::optional<TakenPackage>> FindPackage(SqlConnection& connection,
                                                  absl::string_view public_key,
                                                  absl::string_view name) {
  HONE_ASSIGN_OR_RETURN(const SqlCursor find,
                        connection.Prepare("SELECT version, digest FROM record_package "
                                           "WHERE public_key = ?1 AND name = ?2"));
  find->BindText(1, public_key);
  find->BindText(2, name);
  HONE_ASSIGN_OR_RETURN(const bool row, find->Step());
  if (!row) return std::optional<TakenPackage>();
  return std::optional<TakenPackage>({.version = find->Integer(0), .digest = find->Text(1)});
}

Status SavePackage(SqlConnection& connection, absl::string_view public_key, absl::string_view name,
                   const TakenPackage& package) {
  HONE_ASSIGN_OR_RETURN(
      const SqlCursor save,
      connection.Prepare(
          "INSERT INTO record_package(public_key, name, version, digest) VALUES (?1, ?2, ?3, ?4) "
          "ON CONFLICT (public_key, name) DO UPDATE SET version = excluded.version, "
          "digest = excluded.digest"));
  save->BindText(1, public_key);
  save->BindText(2, name);
  save->BindInteger(3, package.version);
  save->BindText(4, package.digest);
  return save->Run();
}

}  // namespace hone::sql_imports

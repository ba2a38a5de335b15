// The tables of imports in SQL: what ImportStore asks, on a connection whose mutex, and transaction
// where it changes something, are the caller's. Only SqlStore uses it.
#pragma once

#include <optional>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/status.h"
#include "db/import_store.h"
#include "db/sql_connection.h"

namespace hone::sql_imports {

Status AddImported(SqlConnection& connection, absl::Span<const ImportedCost> costs,
                   const ImportProgress& progress);
StatusOr<std::optional<ImportProgress>> FindImport(SqlConnection& connection,
                                                   absl::string_view source);
StatusOr<std::vector<ImportedCost>> SummarizeImported(SqlConnection& connection);
StatusOr<std::optional<TakenPackage>> FindPackage(SqlConnection& connection,
                                                  absl::string_view public_key,
                                                  absl::string_view name);
Status SavePackage(SqlConnection& connection, absl::string_view public_key, absl::string_view name,
                   const TakenPackage& package);

}  // namespace hone::sql_imports

#include "db/sql_builds.h"

#include <utility>

#include "db/build_store.h"

namespace hone::sql_builds {

StatusOr<std::vector<pb::BuiltReply>> LoadBuilds(SqlConnection& connection) {
  HONE_ASSIGN_OR_RETURN(const SqlCursor statement,
                        connection.Prepare("SELECT build_key, message FROM build ORDER BY id"));
  std::vector<pb::BuiltReply> builds;
  while (true) {
    HONE_ASSIGN_OR_RETURN(const bool row, statement->Step());
    if (!row) return builds;
    pb::BuiltReply built;
    built.set_key(statement->Text(0));
    // What cannot be read is built again.
    if (!built.mutable_reply()->ParseFromString(statement->Blob(1))) continue;
    builds.push_back(std::move(built));
  }
}

Status SaveBuilds(SqlConnection& connection, absl::Span<const pb::BuiltReply> builds) {
  HONE_ASSIGN_OR_RETURN(
      const SqlCursor insert,
      connection.Prepare("INSERT INTO build (build_key, message) VALUES (?1, ?2) "
                         "ON CONFLICT (build_key) DO UPDATE SET message = excluded.message"));
  for (const pb::BuiltReply& built : builds) {
    insert->BindText(1, built.key());
    insert->BindBlob(2, built.reply().SerializeAsString());
    HONE_RETURN_IF_ERROR(insert->Run());
  }
  HONE_ASSIGN_OR_RETURN(
      const SqlCursor trim,
      connection.Prepare("DELETE FROM build WHERE id <= "
                         "(SELECT id FROM build ORDER BY id DESC LIMIT 1 OFFSET ?1)"));
  trim->BindInteger(1, BuildStore::kBuildsMax);
  return trim->Run();
}

}  // namespace hone::sql_builds

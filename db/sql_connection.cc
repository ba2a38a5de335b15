#include "db/sql_connection.h"

namespace hone {

Status SqlStatement::Run() {
  const StatusOr<bool> row = Step();
  Reset();
  return row.status();
}

StatusOr<int64_t> SqlConnection::QueryInteger(absl::string_view sql) {
  HONE_ASSIGN_OR_RETURN(const SqlCursor cursor, Prepare(sql));
  HONE_ASSIGN_OR_RETURN(const bool row, cursor->Step());
  return row ? cursor->Integer(0) : 0;
}

StatusOr<std::string> SqlConnection::QueryText(absl::string_view sql) {
  HONE_ASSIGN_OR_RETURN(const SqlCursor cursor, Prepare(sql));
  HONE_ASSIGN_OR_RETURN(const bool row, cursor->Step());
  return row ? cursor->Text(0) : std::string();
}

}  // namespace hone

#include "db/sql_jobs.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace hone::sql_jobs {

StatusOr<std::vector<pb::Job>> LoadJobs(SqlConnection& connection) {
  HONE_ASSIGN_OR_RETURN(const SqlCursor statement,
                        connection.Prepare("SELECT id, message FROM job ORDER BY id"));
  std::vector<pb::Job> jobs;
  while (true) {
    HONE_ASSIGN_OR_RETURN(const bool row, statement->Step());
    if (!row) return jobs;
    pb::Job job;
    if (!job.ParseFromString(statement->Blob(1))) {
      return absl::DataLossError(
          absl::StrCat("job ", statement->Integer(0), " of the database cannot be read"));
    }
    jobs.push_back(std::move(job));
  }
}

Status SaveJob(SqlConnection& connection, const pb::Job& job) {
  HONE_ASSIGN_OR_RETURN(
      const SqlCursor statement,
      connection.Prepare("INSERT INTO job (id, phase, epoch, message) VALUES (?1, ?2, ?3, ?4) "
                         "ON CONFLICT (id) DO UPDATE SET phase = excluded.phase, "
                         "epoch = excluded.epoch, message = excluded.message "
                         "WHERE excluded.epoch >= job.epoch RETURNING 1"));
  statement->BindInteger(1, job.id());
  statement->BindInteger(2, job.phase());
  statement->BindInteger(3, static_cast<int64_t>(job.epoch()));
  statement->BindBlob(4, job.SerializeAsString());
  HONE_ASSIGN_OR_RETURN(const bool saved, statement->Step());
  if (saved) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("job ", job.id(), " is stored under a higher epoch than ", job.epoch()));
}

StatusOr<int64_t> ModelBytes(SqlConnection& connection, absl::string_view digest) {
  HONE_ASSIGN_OR_RETURN(
      const SqlCursor statement,
      connection.Prepare(
          "SELECT COALESCE(SUM(LENGTH(data)), 0) FROM model_piece WHERE digest = ?1"));
  statement->BindText(1, digest);
  HONE_RETURN_IF_ERROR(statement->Step().status());
  return statement->Integer(0);
}

Status AppendModel(SqlConnection& connection, absl::string_view digest, int64_t offset,
                   absl::string_view data) {
  HONE_ASSIGN_OR_RETURN(const int64_t size, ModelBytes(connection, digest));
  if (offset != size) {
    return absl::FailedPreconditionError(absl::StrCat("of model ", digest, " there are ", size,
                                                      " bytes, the piece is for ", offset));
  }
  HONE_ASSIGN_OR_RETURN(
      const SqlCursor statement,
      connection.Prepare("INSERT INTO model_piece (digest, place, data) VALUES (?1, ?2, ?3)"));
  statement->BindText(1, digest);
  statement->BindInteger(2, offset);
  statement->BindBlob(3, data);
  return statement->Run();
}

StatusOr<std::string> ReadModel(SqlConnection& connection, absl::string_view digest,
                                int64_t offset) {
  HONE_ASSIGN_OR_RETURN(
      const SqlCursor statement,
      connection.Prepare("SELECT place, data FROM model_piece WHERE digest = ?1 AND place <= ?2 "
                         "ORDER BY place DESC LIMIT 1"));
  statement->BindText(1, digest);
  statement->BindInteger(2, offset);
  HONE_ASSIGN_OR_RETURN(const bool found, statement->Step());
  if (!found) return std::string();
  std::string data = statement->Blob(1);
  const int64_t skipped = offset - statement->Integer(0);
  return skipped < static_cast<int64_t>(data.size()) ? data.substr(skipped) : std::string();
}

Status DropModel(SqlConnection& connection, absl::string_view digest) {
  HONE_ASSIGN_OR_RETURN(const SqlCursor statement,
                        connection.Prepare("DELETE FROM model_piece WHERE digest = ?1"));
  statement->BindText(1, digest);
  return statement->Run();
}

}  // namespace hone::sql_jobs

#include "tracker/record_service.h"

#include <cstddef>
#include <utility>
#include <vector>

#include "tracker/sequence_writer.h"

namespace hone {
namespace {

// Of one message, about: gRPC sends the next while the client reads.
constexpr size_t kReplyBytes = 1 << 20;

RecordFilter FilterOf(const pb::FindRecordsRequest& request) {
  RecordFilter filter;
  if (request.has_workload_key()) filter.workload_key = request.workload_key();
  if (request.has_target()) filter.target = request.target();
  if (request.has_numerics()) filter.numerics = request.numerics();
  if (request.has_codegen_epoch()) filter.codegen_epoch = request.codegen_epoch();
  if (request.has_failure()) filter.failure = static_cast<pb::FailureKind>(request.failure());
  filter.newest_first = request.newest_first();
  filter.limit = request.limit();
  return filter;
}

// One answer, in messages one after another.
class RecordReactor final : public SequenceWriter<pb::FindRecordsReply> {
 public:
  explicit RecordReactor(StatusOr<std::vector<pb::Record>> records) : records_(std::move(records)) {
    WriteNext();
  }

 private:
  StatusOr<bool> Next(pb::FindRecordsReply* reply) override {
    HONE_RETURN_IF_ERROR(records_.status());
    if (next_ == records_->size()) return false;
    for (size_t bytes = 0; next_ < records_->size() && bytes < kReplyBytes; ++next_) {
      bytes += (*records_)[next_].ByteSizeLong();
      *reply->add_records() = std::move((*records_)[next_]);
    }
    return true;
  }

  StatusOr<std::vector<pb::Record>> records_;
  size_t next_ = 0;
};

}  // namespace

grpc::ServerWriteReactor<pb::FindRecordsReply>* RecordService::FindRecords(
    grpc::CallbackServerContext* context, const pb::FindRecordsRequest* request) {
  return new RecordReactor(store_.Query(FilterOf(*request)));
}

}  // namespace hone

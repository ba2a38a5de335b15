#include "rpc/record_client.h"

#include <grpcpp/grpcpp.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proto/tuning.grpc.pb.h"
#include "rpc/grpc_status.h"
#include "rpc/tracker_call.h"

namespace hone {
namespace {

constexpr absl::Duration kConnectTimeout = absl::Seconds(5);
constexpr absl::Duration kTimeout = absl::Minutes(5);

}  // namespace

StatusOr<std::vector<pb::Record>> FetchRecords(const std::string& tracker,
                                               const pb::FindRecordsRequest& request,
                                               const std::string& tls_dir) {
  HONE_ASSIGN_OR_RETURN(const std::shared_ptr<TrackerLine> line,
                        TrackerLine::Open(tracker, tls_dir));
  return FetchRecords(*line, request);
}

StatusOr<std::vector<pb::Record>> FetchRecords(TrackerLine& line,
                                               const pb::FindRecordsRequest& request) {
  if (!line.WaitForConnected(absl::Now() + kConnectTimeout)) {
    return absl::UnavailableError(absl::StrCat("no tracker answers at ", line.trackers(),
                                               "; check --tracker and $HONE_TRACKER"));
  }
  std::vector<pb::Record> records;
  HONE_RETURN_IF_ERROR(AskLeader(line, kTimeout, [&](const TrackerLine::Link& link) {
    pb::Records::Stub stub(link.channel);
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + kTimeout));
    const auto reader = stub.FindRecords(&context, request);
    records.clear();
    pb::FindRecordsReply reply;
    while (reader->Read(&reply)) {
      for (pb::Record& record : *reply.mutable_records()) records.push_back(std::move(record));
    }
    return FromGrpc(reader->Finish());
  }));
  return records;
}

}  // namespace hone

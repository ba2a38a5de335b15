// Every message that tracker, agent, daemon and builder take off the wire, and what checks it: any
// bytes are read as each of them, and checked, keyed and printed without harm. The first byte
// chooses the message. What is done with messages that pass is for the fuzzers of sessions.
#include <google/protobuf/message_lite.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "base/check.h"
#include "db/record_rules.h"
#include "db/security_rules.h"
#include "proto/batch.pb.h"
#include "proto/blobs.pb.h"
#include "proto/builds.pb.h"
#include "proto/canary.pb.h"
#include "proto/farm.pb.h"
#include "proto/policy.pb.h"
#include "proto/record.pb.h"
#include "proto/security.pb.h"
#include "proto/snapshot.pb.h"
#include "proto/tuning.pb.h"
#include "proto/worker.pb.h"
#include "rpc/agent_session.h"
#include "rpc/audit_chain.h"
#include "rpc/batch_blobs.h"
#include "rpc/build_key.h"
#include "rpc/frame.h"
#include "tracker/batch_records.h"
#include "tracker/device_advice.h"
#include "tracker/job_state.h"
#include "tracker/matchmaking.h"
#include "tracker/metrics.h"
#include "tracker/policy.h"

namespace hone {
namespace {

// Reads the bytes as a message; what was read must come back from what is written.
template <typename Message>
bool Read(absl::string_view bytes, Message* message) {
  if (!message->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return false;
  Message again;
  HONE_CHECK(again.ParseFromString(message->SerializeAsString()));
  return true;
}

template <typename Message>
void ReadOnly(absl::string_view bytes) {
  Message message;
  (void)Read(bytes, &message);
}

void TakeBatch(absl::string_view bytes) {
  pb::Batch batch;
  if (!Read(bytes, &batch)) return;
  (void)CheckForTravel(batch);
  (void)CodeDigests(batch);
  pb::Batch travels = batch;
  const Blobs code = TakeCode(travels);
  HONE_CHECK(!CheckForTravel(travels).ok() || code.size() <= CodeDigests(travels).size());
  if (!CheckBatch(batch).ok()) return;
  pb::BatchResult result;
  for (int i = 0; i < batch.candidates_size(); ++i) result.add_measurements()->set_cost_ns(1);
  for (const pb::Record& record : RecordsOf(batch, result, "board")) (void)CheckRecord(record);
}

void TakeReport(absl::string_view bytes) {
  pb::ReportRequest report;
  if (!Read(bytes, &report)) return;
  (void)CheckBatchResult(report.result());
  if (!CheckBatch(report.batch()).ok()) return;
  if (report.result().measurements_size() != report.batch().candidates_size()) return;
  for (const pb::Record& record : RecordsOf(report.batch(), report.result(), report.device())) {
    (void)CheckRecord(record);
  }
}

void TakeDevice(absl::string_view bytes) {
  pb::DeviceInfo info;
  if (!Read(bytes, &info)) return;
  const StatusOr<DeviceView> view = ViewOf(info);
  if (!view.ok()) return;
  const StatusOr<Selector> any = Selector::Parse("!nobody");
  (void)WhyNot(Demand(*any, Target()), *view);
}

void TakeBuilds(absl::string_view bytes) {
  pb::BuildsRequest request;
  if (!Read(bytes, &request)) return;
  (void)VersionText(request.version());
  for (const pb::BuildRequest& build : request.builds()) {
    HONE_CHECK(BuildKey(build, request.version()) == BuildKey(build, request.version()));
  }
}

void TakeJob(absl::string_view bytes) {
  pb::JobSpec spec;
  if (Read(bytes, &spec)) (void)CheckJob(spec);
}

void TakePolicy(absl::string_view bytes) {
  pb::FarmPolicy policy;
  if (Read(bytes, &policy)) (void)CheckPolicy(policy);
}

void TakeRecord(absl::string_view bytes) {
  pb::Record record;
  if (!Read(bytes, &record) || !CheckRecord(record).ok()) return;
  HONE_CHECK(!IsBetterRecord(record, record)) << "than itself";
}

void TakeAudit(absl::string_view bytes) {
  pb::ReadAuditReply reply;
  if (!Read(bytes, &reply)) return;
  const std::vector<pb::AuditEntry> entries(reply.entries().begin(), reply.entries().end());
  (void)CheckAuditChain(0, "", entries);
}

void TakeToken(absl::string_view bytes) {
  pb::JoinToken token;
  if (Read(bytes, &token)) (void)CheckUsable(token, false, 1'700'000'000'000);
}

void TakeSnapshot(absl::string_view bytes) {
  pb::FarmSnapshot snapshot;
  if (!Read(bytes, &snapshot)) return;
  // What the farm's names have in them must not become lines of their own.
  const std::string text = MetricsText(snapshot);
  HONE_CHECK(text.empty() || text.back() == '\n');
}

void CutFrames(absl::string_view bytes) {
  FrameDecoder decoder;
  for (size_t i = 0; i < bytes.size();) {
    const size_t piece = 1 + static_cast<unsigned char>(bytes[i]) % 7;
    decoder.Append(bytes.substr(i, piece));
    i += piece;
    pb::BuildRequest request;
    StatusOr<bool> next = decoder.Next(request);
    while (next.ok() && *next) next = decoder.Next(request);
    if (!next.ok()) return;
  }
}

}  // namespace
}  // namespace hone

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hone;  // NOLINT: the table below is easier to read
  using Take = void (*)(absl::string_view);
  static constexpr Take kTakes[] = {
      TakeBatch, TakeReport, TakeDevice, TakeBuilds, TakeJob, TakePolicy, TakeRecord, TakeAudit,
      TakeToken, TakeSnapshot, CutFrames,
      // Taken by state machines: read here, fed there.
      ReadOnly<pb::AgentState>, ReadOnly<pb::AgentOrders>, ReadOnly<pb::BuilderState>,
      ReadOnly<pb::BuilderOrders>, ReadOnly<pb::SubmitRequest>, ReadOnly<pb::ResultsReply>,
      ReadOnly<pb::MeasureRequest>, ReadOnly<pb::MeasureReply>, ReadOnly<pb::BuildReply>,
      ReadOnly<pb::BlobChunk>, ReadOnly<pb::CanaryHistory>, ReadOnly<pb::Job>,
      ReadOnly<pb::ClaimJobReply>, ReadOnly<pb::JoinRequest>, ReadOnly<pb::Certificates>,
      ReadOnly<pb::WhyReply>, ReadOnly<pb::ListDevicesReply>};
  if (size == 0) return 0;
  constexpr size_t kCount = sizeof(kTakes) / sizeof(kTakes[0]);
  kTakes[data[0] % kCount](absl::string_view(reinterpret_cast<const char*>(data) + 1, size - 1));
  return 0;
}

// Programs of other versions: newer and older ones of the same major version work together in any
// order; of another major they are told which side is to be upgraded.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/target.h"
#include "db/memory_record_store.h"
#include "proto/farm.grpc.pb.h"
#include "proto/tuning.grpc.pb.h"
#include "rpc/channel.h"
#include "rpc/farm_client.h"
#include "rpc/grpc_status.h"
#include "rpc/protocol.h"
#include "tests/support/measuring_agent.h"
#include "tests/support/provenance.h"
#include "tests/support/running_tracker.h"

namespace hone {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kPatience = absl::Seconds(30);
constexpr auto kLaterState = static_cast<pb::DeviceState>(77);
constexpr auto kLaterKind = static_cast<pb::FailureKind>(77);

// As a later version would fill it in.
template <typename Message>
void AddLaterFields(Message* message) {
  google::protobuf::UnknownFieldSet* later =
      message->GetReflection()->MutableUnknownFields(message);
  later->AddVarint(1001, 7);
  later->AddLengthDelimited(1002, "a field of the future");
}

pb::DeviceStatus Board() {
  pb::DeviceStatus device;
  device.mutable_info()->set_name("later");
  device.mutable_info()->set_target(Target().ToString());
  device.mutable_info()->set_state(pb::READY);
  return device;
}

// An agent of one device, message by message.
class RawAgent {
 public:
  RawAgent(const std::string& tracker, const pb::Protocol& protocol) : protocol_(protocol) {
    stub_ = pb::Agents::NewStub(*MakeChannel(tracker));
    context_.set_deadline(absl::ToChronoTime(absl::Now() + kPatience));
    stream_ = stub_->Session(&context_);
  }
  ~RawAgent() {
    context_.TryCancel();
    if (!finished_) stream_->Finish();
  }

  // Says what it has, and hears what it shall do; nothing if the tracker hangs up.
  std::optional<pb::AgentOrders> Say(const pb::DeviceStatus& device) {
    pb::AgentState state;
    state.set_agent("later");
    state.set_boot(1);
    state.set_sequence(++sequence_);
    *state.mutable_protocol() = protocol_;
    *state.add_devices() = device;
    AddLaterFields(&state);
    AddLaterFields(state.mutable_devices(0)->mutable_info());
    pb::AgentOrders orders;
    if (!stream_->Write(state) || !stream_->Read(&orders)) return std::nullopt;
    while (orders.acked_sequence() < sequence_ && stream_->Read(&orders)) continue;
    return orders;
  }
  // Offers its one device until it is given work for it.
  std::optional<pb::DeviceOrders> WaitForGrant() {
    pb::DeviceStatus board = Board();
    for (int i = 0; i < 10'000; ++i) {
      const std::optional<pb::AgentOrders> orders = Say(board);
      if (!orders) return std::nullopt;
      if (!orders->devices(0).grants().empty()) return orders->devices(0);
      board.set_epoch(orders->devices(0).epoch());
    }
    return std::nullopt;
  }
  // Why the tracker hung up.
  Status Refused() {
    finished_ = true;
    return FromGrpc(stream_->Finish());
  }
  StatusOr<pb::ReportReply> Report(pb::ReportRequest report) {
    report.set_agent("later");
    AddLaterFields(&report);
    AddLaterFields(report.mutable_result());
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + kPatience));
    pb::ReportReply reply;
    HONE_RETURN_IF_ERROR(FromGrpc(stub_->Report(&context, report, &reply)));
    return reply;
  }

 private:
  const pb::Protocol protocol_;
  std::unique_ptr<pb::Agents::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<pb::AgentState, pb::AgentOrders>> stream_;
  uint64_t sequence_ = 0;
  bool finished_ = false;
};

pb::Protocol Version(uint32_t major, uint32_t minor) {
  pb::Protocol protocol;
  protocol.set_major_version(major);
  protocol.set_minor_version(minor);
  return protocol;
}

class FarmWireTest : public ::testing::Test {
 protected:
  MemoryRecordStore store_;
  RunningTracker tracker_{store_};
};

class VersionsTest : public FarmWireTest, public ::testing::WithParamInterface<pb::Protocol> {};

// Older than the question, the oldest that answers it, and one of years to come.
INSTANTIATE_TEST_SUITE_P(Minors, VersionsTest,
                         ::testing::Values(pb::Protocol(), Version(kProtocolMajor, 0),
                                           Version(kProtocolMajor, 900)));

TEST_P(VersionsTest, AnAgentMeasuresAndItsResultsCount) {
  RawAgent agent(tracker_.address(), GetParam());
  auto client = FarmClient::Connect({.tracker = tracker_.address()});
  ASSERT_TRUE(client.ok()) << client.status();
  ASSERT_TRUE((*client)->Submit(SomeBatch(2, 16)).ok());
  const std::optional<pb::DeviceOrders> orders = agent.WaitForGrant();
  ASSERT_TRUE(orders);
  pb::BatchResult result;
  const pb::Grant& grant = orders->grants(0);
  result.set_batch_id(grant.batch_id());
  AddProvenance(&result);
  result.add_measurements()->set_cost_ns(100);
  // A kind of failure that this version has no name for.
  result.add_measurements()->set_failure(kLaterKind);
  const auto reply = agent.Report(MakeReport("later", orders->epoch(), grant, std::move(result)));
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->outcome(), pb::RECORDED) << reply->message();
  const auto outcome = (*client)->WaitForResults(kPatience);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->size(), 1u);
  const auto records = store_.Query({});
  ASSERT_EQ(records->size(), 2u);
  EXPECT_EQ((*records)[1].measurement().failure(), kLaterKind);
  // Nor does what looks at the farm mind.
  pb::SnapshotRequest all;
  all.set_devices_max(10);
  all.set_curves_max(10);
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kPatience));
  pb::FarmSnapshot snapshot;
  const auto farm = pb::Farm::NewStub(*MakeChannel(tracker_.address()));
  ASSERT_TRUE(farm->Snapshot(&context, all, &snapshot).ok());
  EXPECT_EQ(snapshot.totals().measurements().at("ok"), 1);
  EXPECT_EQ(snapshot.totals().measurements().at("unknown"), 1);
}

TEST_P(VersionsTest, AStateOfDevicesThatHasNoNameHereGetsNoWork) {
  auto client = FarmClient::Connect({.tracker = tracker_.address()});
  ASSERT_TRUE(client.ok()) << client.status();
  ASSERT_TRUE((*client)->Submit(SomeBatch(1, 16)).ok());
  RawAgent agent(tracker_.address(), GetParam());
  pb::DeviceStatus board = Board();
  board.mutable_info()->set_state(kLaterState);
  for (int i = 0; i < 20; ++i) {
    const auto orders = agent.Say(board);
    ASSERT_TRUE(orders);
    EXPECT_TRUE(orders->devices(0).grants().empty());
    board.set_epoch(orders->devices(0).epoch());
  }
  const auto farm = (*client)->ListDevices();
  ASSERT_TRUE(farm.ok()) << farm.status();
  EXPECT_EQ(farm->devices.size(), 1u);
  EXPECT_EQ(farm->queued_batches, 1);
}

TEST_P(VersionsTest, AClientSubmitsAndADaemonClaims) {
  const auto channel = *MakeChannel(tracker_.address());
  grpc::ClientContext submit_context;
  submit_context.set_deadline(absl::ToChronoTime(absl::Now() + kPatience));
  pb::SubmitRequest submit;
  submit.set_client_id("c");
  submit.set_batch_id("c-1");
  *submit.mutable_protocol() = GetParam();
  *submit.mutable_batch() = SomeBatch(1, 16);
  submit.mutable_batch()->mutable_candidates(0)->clear_artifact();
  submit.mutable_batch()->mutable_candidates(0)->mutable_measurement()->set_failure(kLaterKind);
  AddLaterFields(&submit);
  AddLaterFields(submit.mutable_batch());
  pb::SubmitReply submitted;
  const Status status =
      FromGrpc(pb::Farm::NewStub(channel)->Submit(&submit_context, submit, &submitted));
  EXPECT_EQ(status, absl::OkStatus());
  grpc::ClientContext claim_context;
  claim_context.set_deadline(absl::ToChronoTime(absl::Now() + kPatience));
  pb::ClaimJobRequest claim;
  claim.set_daemon("d");
  claim.set_boot(1);
  claim.set_jobs_max(1);
  *claim.mutable_protocol() = GetParam();
  AddLaterFields(&claim);
  pb::ClaimJobReply claimed;
  EXPECT_EQ(FromGrpc(pb::Jobs::NewStub(channel)->ClaimJob(&claim_context, claim, &claimed)),
            absl::OkStatus());
}

TEST_F(FarmWireTest, RefusesABatchThatDoesNotSayWhichTunerItIsFrom) {
  auto client = FarmClient::Connect({.tracker = tracker_.address()});
  pb::Batch batch = SomeBatch(1, 16);
  batch.clear_tool_version();
  const Status status = (*client)->Submit(batch).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("tool_version"));
}

TEST_F(FarmWireTest, MakesNoRecordOfAResultThatDoesNotSayHowItWasMeasured) {
  for (const char* lacked : {"agent_version", "sandbox", "gate.retries"}) {
    RawAgent agent(tracker_.address(), ThisProtocol());
    auto client = FarmClient::Connect({.tracker = tracker_.address()});
    ASSERT_TRUE((*client)->Submit(SomeBatch(1, 16)).ok());
    const std::optional<pb::DeviceOrders> orders = agent.WaitForGrant();
    ASSERT_TRUE(orders);
    pb::BatchResult result;
    AddProvenance(&result);
    result.mutable_environment()->erase(lacked);
    result.add_measurements()->set_cost_ns(100);
    const auto reply =
        agent.Report(MakeReport("later", orders->epoch(), orders->grants(0), std::move(result)));
    ASSERT_TRUE(reply.ok()) << reply.status();
    // It ends the batch, so that it is not measured again and again; the client hears why.
    const auto results = (*client)->WaitForResults(kPatience);
    ASSERT_TRUE(results.ok()) << results.status();
    ASSERT_EQ(results->size(), 1u);
    EXPECT_THAT((*results)[0].error(), HasSubstr(absl::StrCat("a result without ", lacked)));
    EXPECT_EQ(store_.Query({})->size(), 0u);
  }
}

TEST_F(FarmWireTest, OfAnotherMajorVersionTheyAreToldWhomToUpgrade) {
  const pb::Protocol next = Version(kProtocolMajor + 1, 0);
  RawAgent agent(tracker_.address(), next);
  EXPECT_FALSE(agent.Say(Board()));
  Status status = agent.Refused();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("agent later speaks protocol 2.0, and this tracker 1."));
  EXPECT_THAT(std::string(status.message()), HasSubstr("upgrade the tracker first"));

  const auto channel = *MakeChannel(tracker_.address());
  const auto call = [&](const auto& method) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + kPatience));
    return FromGrpc(method(&context));
  };
  status = call([&](grpc::ClientContext* context) {
    pb::SubmitRequest request;
    pb::SubmitReply reply;
    *request.mutable_protocol() = next;
    return pb::Farm::NewStub(channel)->Submit(context, request, &reply);
  });
  EXPECT_THAT(std::string(status.message()), HasSubstr("upgrade the tracker first")) << status;
  status = call([&](grpc::ClientContext* context) {
    pb::SubmitJobRequest request;
    pb::Job reply;
    *request.mutable_protocol() = next;
    return pb::Tuning::NewStub(channel)->SubmitJob(context, request, &reply);
  });
  EXPECT_THAT(std::string(status.message()), HasSubstr("upgrade the tracker first")) << status;
  status = call([&](grpc::ClientContext* context) {
    pb::ClaimJobRequest request;
    pb::ClaimJobReply reply;
    request.set_daemon("d");
    *request.mutable_protocol() = next;
    return pb::Jobs::NewStub(channel)->ClaimJob(context, request, &reply);
  });
  EXPECT_THAT(std::string(status.message()), HasSubstr("daemon d speaks protocol 2.0")) << status;
}

}  // namespace
}  // namespace hone

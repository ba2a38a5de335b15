// Calls that wait for builds, over real gRPC on a unix socket.
#include "tracker/build_service.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "db/memory_record_store.h"
#include "tests/support/scratch_folder.h"

namespace hone {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(20);

class BuildServiceTest : public ::testing::Test {
 protected:
  BuildServiceTest() {
    grpc::ServerBuilder builder;
    const std::string address = absl::StrCat("unix:", folder_ / "t");
    builder.AddListeningPort(address, grpc::InsecureServerCredentials());
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    stub_ = pb::Builds::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  }
  ~BuildServiceTest() override {
    service_.ShutDown();
    server_->Shutdown();
  }

  pb::BuilderState Builder(int64_t wait_ms) {
    pb::BuilderState state;
    state.set_builder("rack");
    state.set_boot(1);
    state.set_capacity(1);
    state.set_wait_ms(wait_ms);
    return state;
  }
  bool Await(int64_t waiting) {
    const absl::Time deadline = absl::Now() + kPatience;
    while (service_.waiting() != waiting && absl::Now() < deadline) {
      absl::SleepFor(absl::Milliseconds(1));
    }
    return service_.waiting() == waiting;
  }
  // Makes the call, hangs up once the tracker has it, and waits until it has let go of it.
  template <typename Request, typename Reply>
  void CallAndHangUp(grpc::Status (pb::Builds::Stub::*method)(grpc::ClientContext*, const Request&,
                                                              Reply*),
                     const Request& request) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + 2 * kPatience));
    Reply reply;
    grpc::Status status;
    std::thread call([&] { status = (stub_.get()->*method)(&context, request, &reply); });
    EXPECT_TRUE(Await(1));
    context.TryCancel();
    EXPECT_TRUE(Await(0)) << "its wait is long over before nobody hears the answer";
    call.join();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
  }

  const ScratchFolder folder_;
  const std::unique_ptr<BlobStore> blobs_ = *BlobStore::Open({.folder = folder_ / "blobs"});
  const SystemClock clock_;
  MemoryRecordStore store_;
  BuildService service_{BuildLimits(), {}, store_, *blobs_, clock_};
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<pb::Builds::Stub> stub_;
};

TEST_F(BuildServiceTest, LetsGoOfABuilderThatHangsUp) {
  CallAndHangUp(&pb::Builds::Stub::Work, Builder(60'000));
}

TEST_F(BuildServiceTest, LetsGoOfAClientThatHangsUp) {
  {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + kPatience));
    pb::BuilderOrders orders;
    ASSERT_TRUE(stub_->Work(&context, Builder(0), &orders).ok());
  }
  pb::BuildsRequest request;
  request.set_wait_ms(60'000);
  request.add_builds()->set_schedule("schedule/1\n");
  CallAndHangUp(&pb::Builds::Stub::Build, request);
}

}  // namespace
}  // namespace hone

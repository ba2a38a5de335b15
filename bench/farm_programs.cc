#include "bench/farm_programs.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/check.h"
#include "base/target.h"
#include "tests/support/local_programs.h"
#include "tests/support/process_tree.h"

namespace hone {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(120);

}  // namespace

BenchFarm::BenchFarm()
    : address_(absl::StrCat("127.0.0.1:", FreePort())),
      log_(open("/dev/null", O_WRONLY | O_CLOEXEC)) {}

BenchFarm::~BenchFarm() { close(log_); }

absl::Duration BenchFarm::StartTracker(const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {"--listen", address_, "--db", database(), "--quiet"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  const absl::Time began = absl::Now();
  auto started = ChildProcess::Start({.program = ProgramPath("hone-tracker"),
                                      .arguments = std::move(arguments),
                                      .socket = false,
                                      .output_fd = log_});
  HONE_CHECK(started.ok()) << started.status();
  tracker_ = *std::move(started);
  int port = 0;
  HONE_CHECK(absl::SimpleAtoi(address_.substr(address_.rfind(':') + 1), &port)) << address_;
  // gRPC waits for a while after it was refused, so it is not asked before.
  while (!SomebodyListens(port)) {
    HONE_CHECK(absl::Now() < began + kPatience && !tracker_->Poll().has_value())
        << "the tracker does not start";
    absl::SleepFor(absl::Milliseconds(2));
  }
  const auto client = FarmClient::Connect({.tracker = address_, .connect_timeout = kPatience});
  HONE_CHECK(client.ok()) << client.status();
  return absl::Now() - began;
}

void BenchFarm::KillTracker() {
  tracker_->Signal(SIGKILL);
  tracker_->Wait();
}

void BenchFarm::StartAgent(const std::string& name, const std::string& tracker) {
  auto agent = ChildProcess::Start({.program = ProgramPath("hone-agent"),
                                    .arguments = {"--tracker", tracker.empty() ? address_ : tracker,
                                                  "--name", name, "--label", "real", "--quiet"},
                                    .socket = false,
                                    .output_fd = log_});
  HONE_CHECK(agent.ok()) << agent.status();
  agents_.push_back(*std::move(agent));
  const auto client = Connect();
  const absl::Time deadline = absl::Now() + kPatience;
  while (true) {
    const auto farm = client->ListDevices();
    for (const pb::DeviceInfo& device : farm.ok() ? farm->devices : FarmStatus().devices) {
      if (device.name() == name && device.state() != pb::LOST) return;
    }
    HONE_CHECK(absl::Now() < deadline) << name << " does not come";
    absl::SleepFor(absl::Milliseconds(20));
  }
}

std::unique_ptr<FarmClient> BenchFarm::Connect() {
  auto client = FarmClient::Connect({.tracker = address_, .connect_timeout = kPatience});
  HONE_CHECK(client.ok()) << client.status();
  return *std::move(client);
}

double BenchFarm::TrackerRssMib() const {
  return static_cast<double>(UseOf(tracker_->pid()).rss_bytes) / (1 << 20);
}

double BenchFarm::TrackerCpuSeconds() const { return UseOf(tracker_->pid()).cpu_s; }

pb::Batch MadeUpBatch(absl::string_view user, absl::string_view selector, int64_t number) {
  pb::Batch batch;
  batch.set_workload("workload/1 made up");
  batch.set_target(Target().ToString());
  batch.set_numerics("fp32");
  batch.set_tool_version("bench");
  batch.set_user(std::string(user));
  batch.set_selector(std::string(selector));
  batch.add_candidates()->set_schedule(absl::StrCat("schedule/1 ", number));
  return batch;
}

void RaiseDescriptorLimit() {
  rlimit limit = {};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace hone

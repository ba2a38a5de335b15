// Parts of farm_bench with a tracker of many agents, and one of much that waits.
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <iostream>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "base/check.h"
#include "base/target.h"
#include "bench/aim.h"
#include "bench/farm_parts.h"
#include "bench/farm_programs.h"
#include "db/sqlite_record_store.h"
#include "proto/farm.grpc.pb.h"
#include "rpc/channel.h"
#include "rpc/child_process.h"
#include "tests/support/agent_crowd.h"
#include "tests/support/process_tree.h"

namespace hone {
namespace {

constexpr int kAgents = 10'000;
constexpr int kStreamsAConnection = 50;
constexpr double kResultsPerS = 200;
constexpr absl::Duration kMeasured = absl::Seconds(30), kSettle = absl::Seconds(1);
constexpr int kFewAgents = 1000;
constexpr int kDeaf = 1;
// Agents in a process of their own, which so share nothing with the crowd but the tracker.
constexpr int kBeside = 20;
constexpr absl::Duration kBesideWork = absl::Milliseconds(500);

constexpr int kWaiting = 100'000;
constexpr int kWaitingGroup = 2'000;  // written down at a time
constexpr int kRecords = 1'000'000;
constexpr int kRecordGroup = 20'000;
constexpr int kRestarts = 5;

// Keeps the queue filled, and takes what comes of it: a client that may have thousands on their
// way.
class Feeder {
 public:
  Feeder(const std::string& address, int batches_ahead)
      : channel_(*MakeChannel(address)),
        stub_(pb::Farm::NewStub(channel_)),
        batches_ahead_(batches_ahead) {
    for (int i = 0; i < kSubmitters; ++i) threads_.emplace_back([this] { Submit(); });
    threads_.emplace_back([this] { Fetch(); });
  }
  ~Feeder() {
    stopping_ = true;
    for (std::thread& thread : threads_) thread.join();
  }
  int64_t fetched() const { return fetched_; }
  // And taken in.
  int64_t submitted() const { return taken_in_; }
  bool was_full() const { return was_full_; }

 private:
  // Each waits until its batch is on the disk; the tracker writes down what came together.
  static constexpr int kSubmitters = 48;
  // All of them together look often enough for what comes back.
  static constexpr absl::Duration kPause = absl::Milliseconds(50);

  static void SetDeadline(grpc::ClientContext& context) {
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(30)));
  }
  void Submit() {
    while (!stopping_) {
      if (submitted_ - fetched_ >= batches_ahead_) {
        was_full_ = true;
        absl::SleepFor(kPause);
        continue;
      }
      const int64_t number = ++submitted_;
      pb::SubmitRequest request;
      request.set_client_id("feeder");
      request.set_batch_id(absl::StrCat("f", number));
      *request.mutable_batch() = MadeUpBatch(absl::StrCat("user", number % 20), "", number);
      // Again and again while there is no tracker: the batch is taken in once.
      while (!stopping_) {
        pb::SubmitReply reply;
        grpc::ClientContext context;
        SetDeadline(context);
        context.set_wait_for_ready(true);
        if (stub_->Submit(&context, request, &reply).ok()) break;
      }
      ++taken_in_;
    }
  }
  void Fetch() {
    pb::ResultsRequest request;
    request.set_client_id("feeder");
    request.set_wait_ms(200);
    while (!stopping_) {
      pb::ResultsReply reply;
      grpc::ClientContext context;
      SetDeadline(context);
      if (!stub_->Results(&context, request, &reply).ok()) continue;
      request.clear_acknowledged();
      for (const pb::BatchResult& result : reply.results()) {
        request.add_acknowledged(result.batch_id());
      }
      fetched_ += reply.results_size();
    }
  }

  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<pb::Farm::Stub> stub_;
  const int batches_ahead_;
  std::atomic<bool> stopping_ = false, was_full_ = false;
  std::atomic<int64_t> submitted_ = 0, taken_in_ = 0, fetched_ = 0;
  std::vector<std::thread> threads_;
};

// Until all have a lease.
void AwaitLeases(const AgentCrowd& crowd, int agents) {
  const absl::Time began = absl::Now();
  while (crowd.counts().connected < agents) {
    HONE_CHECK(absl::Now() < began + absl::Minutes(5))
        << crowd.counts().connected << " of " << agents << " agents have a lease";
    absl::SleepFor(absl::Milliseconds(20));
  }
}

// Until the farm has all that the feeder wants it to have: from then on it only makes up for what
// comes back.
void AwaitFull(const Feeder& feeder) {
  const absl::Time began = absl::Now();
  while (!feeder.was_full()) {
    HONE_CHECK(absl::Now() < began + absl::Minutes(3))
        << "only " << feeder.submitted() << " batches were taken in";
    absl::SleepFor(absl::Milliseconds(20));
  }
  absl::SleepFor(kSettle);
}

// An agent's batches last so long that all of them together have `kResultsPerS` results; by chance,
// so that they have as many at any time, and agents that began together do not end together.
CrowdOptions CrowdFor(const BenchFarm& farm, int agents) {
  return {.tracker = farm.address(),
          .target = Target().ToString(),
          .agents = agents,
          .channels = (agents + kStreamsAConnection - 1) / kStreamsAConnection,
          .work = absl::Seconds(agents / kResultsPerS),
          .work_varies = true};
}

struct Load {
  double p50_ms = 0, p99_ms = 0, most_ms = 0, results_per_s = 0;
  int64_t waiting_least = 0;  // batches; where it is none, grants waited for the feeder
};

Load MeasureLoad(AgentCrowd& crowd, const Feeder& feeder, absl::Duration time) {
  crowd.TakeGrantTimes();
  const int64_t before = crowd.counts().settled;
  int64_t waiting_least = std::numeric_limits<int64_t>::max();
  const absl::Time began = absl::Now();
  while (absl::Now() < began + time) {
    waiting_least = std::min(waiting_least, feeder.submitted() - crowd.counts().granted);
    absl::SleepFor(absl::Milliseconds(100));
  }
  const double seconds = absl::ToDoubleSeconds(absl::Now() - began);
  const std::vector<double> times = crowd.TakeGrantTimes();
  return {.p50_ms = PercentileOf(times, 0.5),
          .p99_ms = PercentileOf(times, 0.99),
          .most_ms = PercentileOf(times, 1),
          .results_per_s = static_cast<double>(crowd.counts().settled - before) / seconds,
          .waiting_least = waiting_least};
}

std::string Shown(const Load& load) {
  return absl::StrFormat(
      "%.0f results/s; from a report to the grant for it: p50 %.1f ms, p99 %.1f ms, "
      "most %.0f ms; at least %d batches waited",
      load.results_per_s, load.p50_ms, load.p99_ms, load.most_ms, load.waiting_least);
}

// Some agents at work, and beside them one that opens its stream, says much, and so would be told
// much, and never reads.
Load MeasureFew(int deaf) {
  BenchFarm farm;
  farm.StartTracker();
  Feeder feeder(farm.address(), 6 * kFewAgents);
  const auto crowd = AgentCrowd::Start(CrowdFor(farm, kFewAgents));
  HONE_CHECK(crowd.ok()) << crowd.status();
  const auto silent = AgentCrowd::Start({.tracker = farm.address(),
                                         .name = "deaf",
                                         .target = Target().ToString(),
                                         .agents = deaf,
                                         .deaf = deaf,
                                         .deaf_heartbeat = absl::Milliseconds(5)});
  HONE_CHECK(silent.ok()) << silent.status();
  AwaitLeases(**crowd, kFewAgents);
  AwaitFull(feeder);
  return MeasureLoad(**crowd, feeder, kMeasured / 2);
}

// What waits, written as a tracker writes it; faster than through one.
void FillQueue(const std::string& database, int batches) {
  const auto store =
      SqliteRecordStore::Open({.path = database, .mode = SqliteOpenOptions::Mode::kWrite});
  HONE_CHECK(store.ok()) << store.status();
  for (int i = 0; i < batches;) {
    std::vector<JournalEntry> entries;
    for (int j = 0; j < kWaitingGroup && i < batches; ++j, ++i) {
      entries.push_back(BatchEntry{.client_id = absl::StrCat("client", i % 20),
                                   .batch_id = absl::StrCat("b", i),
                                   .batch = std::make_shared<const pb::Batch>(
                                       MadeUpBatch(absl::StrCat("user", i % 20), "", i))});
    }
    for (const JournalOutcome& outcome : (*store)->Write(entries)) {
      HONE_CHECK(outcome.status.ok()) << outcome.status;
    }
  }
}

void FillRecords(const std::string& database, int count) {
  const auto store =
      SqliteRecordStore::Open({.path = database, .mode = SqliteOpenOptions::Mode::kWrite});
  HONE_CHECK(store.ok()) << store.status();
  pb::Record record;
  record.set_workload("workload/1 made up");
  record.set_workload_key("made up");
  record.set_target(Target().ToString());
  record.set_numerics("fp32");
  for (int i = 0; i < count;) {
    std::vector<pb::Record> records;
    for (int j = 0; j < kRecordGroup && i < count; ++j, ++i) {
      record.set_schedule(absl::StrCat("schedule/1 ", i));
      record.set_batch_id(absl::StrCat("old", i));
      record.mutable_measurement()->set_cost_ns(1000 + i % 1000);
      records.push_back(record);
    }
    HONE_CHECK((*store)->Append(records).ok()) << "the records cannot be written";
  }
}

}  // namespace

void BenchAgents() {
  RaiseDescriptorLimit();
  const Load all = MeasureFew(/*deaf=*/0), deaf = MeasureFew(kDeaf);
  std::cout << absl::StreamFormat("%d agents: %s\n%d more that never reads: %s\n", kFewAgents,
                                  Shown(all), kDeaf, Shown(deaf))
            << std::flush;
  PrintAim("farm-grant-p99-beside-a-deaf-agent-ratio", deaf.p99_ms / all.p99_ms, 1.1,
           Better::kLess);
  BenchFarm farm;
  farm.StartTracker();
  const double empty_mib = farm.TrackerRssMib();
  const CrowdOptions options = CrowdFor(farm, kAgents);
  const absl::Time dialled = absl::Now();
  const auto crowd = AgentCrowd::Start(options);
  HONE_CHECK(crowd.ok()) << crowd.status();
  AwaitLeases(**crowd, kAgents);
  const double leased_s = absl::ToDoubleSeconds(absl::Now() - dialled);
  const double idle_mib = farm.TrackerRssMib();
  Feeder feeder(farm.address(), 3 * kAgents);
  AwaitFull(feeder);
  const double cpu_before_s = farm.TrackerCpuSeconds(), ours_before_s = UseOf(getpid()).cpu_s;
  const absl::Time began = absl::Now();
  auto beside = ChildProcess::Start({.program = "/proc/self/exe",
                                     .arguments = {kBesideAgents, farm.address()},
                                     .socket = false,
                                     .output_fd = STDOUT_FILENO});
  HONE_CHECK(beside.ok()) << beside.status();
  const Load load = MeasureLoad(**crowd, feeder, kMeasured);
  beside->Wait();
  const double cpu =
      (farm.TrackerCpuSeconds() - cpu_before_s) / absl::ToDoubleSeconds(absl::Now() - began);
  const double ours =
      (UseOf(getpid()).cpu_s - ours_before_s) / absl::ToDoubleSeconds(absl::Now() - began);
  const double rss_mib = farm.TrackerRssMib();
  std::cout << absl::StreamFormat(
      "%d agents on %d connections, a state of each every 5 s: %s\nthe tracker: %.0f MiB empty, "
      "%.0f MiB with them, %.0f MiB at work; %.2f cores, and we %.2f; all had a lease after %.1f "
      "s\n",
      kAgents, options.channels, Shown(load), empty_mib, idle_mib, rss_mib, cpu, ours, leased_s);
  PrintAim("farm-10000-agents-rss-mib", rss_mib, 1000, Better::kLess);
  PrintAim("farm-10000-agents-grant-p99-ms", load.p99_ms, 50, Better::kLess);
  PrintAim("farm-10000-agents-cores", cpu, 1, Better::kLess);
  // A storm: the tracker is gone, and all of them come back at once.
  farm.KillTracker();
  farm.StartTracker();
  const absl::Time back = absl::Now();
  // Their leases are made anew as their streams are; until then they have the old ones.
  const int64_t streams = (*crowd)->counts().streams;
  while ((*crowd)->counts().streams < streams + kAgents && absl::Now() < back + absl::Minutes(2)) {
    absl::SleepFor(absl::Milliseconds(20));
  }
  const auto client = farm.Connect();
  int there = 0;
  while (there < kAgents && absl::Now() < back + absl::Minutes(2)) {
    const auto status = client->ListDevices();
    there = 0;
    for (const pb::DeviceInfo& device : status.ok() ? status->devices : FarmStatus().devices) {
      there += device.state() == pb::READY || device.state() == pb::BUSY;
    }
    absl::SleepFor(absl::Milliseconds(200));
  }
  PrintAim("farm-10000-agents-back-after-restart-s", absl::ToDoubleSeconds(absl::Now() - back), 30,
           Better::kLess);
}

void BesideAgents(const std::string& tracker) {
  const auto crowd = AgentCrowd::Start({.tracker = tracker,
                                        .name = "beside",
                                        .target = Target().ToString(),
                                        .agents = kBeside,
                                        .channels = kBeside,
                                        .work = kBesideWork,
                                        .work_varies = true});
  HONE_CHECK(crowd.ok()) << crowd.status();
  AwaitLeases(**crowd, kBeside);
  absl::SleepFor(kSettle);
  (*crowd)->TakeGrantTimes();
  absl::SleepFor(kMeasured * 0.8);
  const std::vector<double> times = (*crowd)->TakeGrantTimes();
  std::cout << absl::StreamFormat(
      "%d agents in a process of their own beside them, on %d connections: p50 %.1f ms, p99 %.1f "
      "ms, most %.0f ms of %d grants\n",
      kBeside, kBeside, PercentileOf(times, 0.5), PercentileOf(times, 0.99), PercentileOf(times, 1),
      times.size());
  PrintAim("farm-10000-agents-grant-p99-beside-them-ms", PercentileOf(times, 0.99), 50,
           Better::kLess);
}

void BenchRestart() {
  BenchFarm farm;
  farm.StartTracker();
  farm.KillTracker();
  FillRecords(farm.database(), kRecords);
  FillQueue(farm.database(), kWaiting);
  std::vector<double> seconds;
  for (int i = 0; i < kRestarts; ++i) {
    seconds.push_back(absl::ToDoubleSeconds(farm.StartTracker()));
    const auto client = farm.Connect();
    const auto status = client->ListDevices();
    HONE_CHECK(status.ok() && status->queued_batches == kWaiting) << status.status();
    farm.KillTracker();
  }
  std::cout << absl::StreamFormat(
      "%d batches wait, %d records are there; killed, and answering again after its start: median "
      "%.2f s, most %.2f s of %d\n",
      kWaiting, kRecords, PercentileOf(seconds, 0.5), PercentileOf(seconds, 1), kRestarts);
  PrintAim("farm-restart-s", PercentileOf(seconds, 1), 2, Better::kLess);
}

}  // namespace hone

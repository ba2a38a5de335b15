#include "tests/support/demo_farm.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tracker/device_advice.h"
#include "tracker/job_history.h"

namespace hone {
namespace {

constexpr int64_t kStartMs = 1'795'200'000'000;

struct Board {
  const char* name;
  const char* cpu;
  int cores;
  pb::DeviceState state;
  const char* reason;
  const char* why;
  int since_s;
  const char* user;  // whom it works for; "" for nobody
  const char* workload;
};

constexpr Board kBoards[] = {
    {"epyc-1", "znver3", 16, pb::BUSY, "", "measures for ada, 1 more ahead", 2, "ada",
     "1x64x56x56 * 64x64x3x3 * 64 -> 1x64x56x56"},
    {"epyc-2", "znver3", 16, pb::BUSY, "", "measures for grace, 1 more ahead", 1, "grace",
     "128x768 * 768x3072 * 3072 -> 128x3072"},
    {"pi-1", "cortex-a72", 4, pb::BUSY, "", "measures for edsger", 4, "edsger",
     "1x32x112x112 * 32x1x3x3 -> 1x32x112x112"},
    {"pi-2", "cortex-a72", 4, pb::READY, "", "no work that fits waits", 190, "", ""},
    {"pi-3", "cortex-a72", 4, pb::QUARANTINED, "temperature: 82.1 C, at most 80",
     "temperature: 82.1 C, at most 80", 320, "", ""},
    {"pi-4", "cortex-a72", 4, pb::LOST, "its agent is silent", "its agent is silent", 4021, "", ""},
    {"jetson-1", "carmel", 8, pb::BUSY, "", "measures for ada", 3, "ada",
     "12x128x64 * 12x64x128 -> 12x128x128"},
    {"jetson-2", "carmel", 8, pb::DRAINING, "drained: new fan", "drained: new fan", 86400 + 7300,
     "", ""},
    {"xeon-amx", "sapphirerapids", 32, pb::BUSY, "", "measures for grace, 1 more ahead", 1, "grace",
     "1x1000x2048 * 2048x1000 -> 1x1000x1000"},
    {"ryzen-desk", "znver4", 8, pb::QUARANTINED, "canary: 6.2 % slower than its own mean",
     "canary: 6.2 % slower than its own mean", 47, "", ""},
    {"graviton-3", "neoverse-v1", 64, pb::READY, "reserved for ada", "reserved for ada", 912, "",
     ""},
    {"old-laptop", "skylake", 2, pb::DEVICE_STATE_UNSPECIFIED, "",
     "its target cannot be read: another version of hone?", 12, "", ""},
};

struct Waiting {
  const char* user;
  const char* selector;
  const char* target;
  int64_t batches;
  int priority;
  int waiting_s;
  const char* why;
};

constexpr Waiting kQueue[] = {
    {"ada", "arch=aarch64,board=jetson", "carmel", 412, 0, 95,
     "all 2 devices that fit are busy; 3 batches of ada go before it"},
    {"grace", "", "znver3", 37, 10, 12, "quota: 2 devices work for grace already, of 2 allowed"},
    {"edsger", "pi-4", "cortex-a72", 8, 0, 3900, "pi-4 is lost"},
    {"edsger", "", "cortex-a72", 3, -5, 8, "its turn is next"},
};

struct Curve {
  const char* workload;
  const char* target;
  const char* user;
  const char* device;
  double first_ns;
  double floor_ns;
  int measured;  // when the demo begins
  bool moves;
};

constexpr Curve kCurves[] = {
    {"1x64x56x56 * 64x64x3x3 * 64 -> 1x64x56x56", "znver3", "ada", "epyc-1", 5.1e6, 1.21e6, 96,
     true},
    {"128x768 * 768x3072 * 3072 -> 128x3072", "znver3", "grace", "epyc-2", 9.4e6, 3.3e6, 48, true},
    {"1x1000x2048 * 2048x1000 -> 1x1000x1000", "sapphirerapids", "grace", "xeon-amx", 2.2e6, 0.31e6,
     160, true},
    {"1x32x112x112 * 32x1x3x3 -> 1x32x112x112", "cortex-a72", "edsger", "pi-1", 21e6, 6.4e6, 24,
     true},
    {"12x128x64 * 12x64x128 -> 12x128x128", "carmel", "ada", "jetson-1", 740e3, 188e3, 64, false},
    {"1x512x7x7 * 512x512x3x3 * 512 -> 1x512x7x7", "cortex-a72", "edsger", "pi-2", 88e6, 31e6, 72,
     false},
};

struct Tuned {
  int64_t id;
  const char* model;
  const char* user;
  pb::JobPhase phase;
  const char* reason;
  const char* daemon;
  int kernels, done;
  double default_ns, best_ns;
  double elapsed_s, minutes;
};

constexpr Tuned kJobs[] = {
    {41, "resnet50.onnx", "ada", pb::JOB_RUNNING, "", "tunerd-1", 20, 7, 41e6, 17.6e6, 1130, 60},
    {43, "bert-base.onnx", "grace", pb::JOB_RUNNING,
     "its batches wait: quota: 2 devices work for grace already, of 2 allowed", "tunerd-2", 12, 3,
     96e6, 71e6, 340, 120},
    {44, "mobilenet-v2.onnx", "edsger", pb::JOB_QUEUED,
     "2 jobs go before it, and 2 daemons are full", "", 0, 0, 0, 0, 0, 30},
    {40, "squeezenet.onnx", "ada", pb::JOB_DONE, "", "tunerd-1", 18, 18, 9.1e6, 2.9e6, 1620, 0},
    {39, "unet.onnx", "grace", pb::JOB_FAILED, "its worker died 3 times: out of memory", "tunerd-2",
     31, 4, 210e6, 180e6, 95, 45},
};

void Fill(const Tuned& tuned, int seconds, pb::JobEntry* entry) {
  pb::Job& job = *entry->mutable_job();
  job.set_id(tuned.id);
  job.set_phase(tuned.phase);
  job.set_reason(tuned.reason);
  job.set_daemon(tuned.daemon);
  job.set_attempts(tuned.phase == pb::JOB_FAILED ? 3 : 1);
  job.mutable_spec()->set_model(tuned.model);
  job.mutable_spec()->set_user(tuned.user);
  job.mutable_spec()->set_numerics("fp32");
  job.mutable_spec()->set_minutes(tuned.minutes);
  const bool moves = tuned.phase == pb::JOB_RUNNING;
  const double elapsed_s = tuned.elapsed_s + (moves ? seconds : 0);
  job.mutable_progress()->set_elapsed_s(elapsed_s);
  job.mutable_progress()->set_trials(static_cast<int64_t>(elapsed_s * 1.7));
  entry->set_kernels(tuned.kernels);
  entry->set_kernels_done(tuned.done);
  entry->set_kernels_measured(tuned.done + (moves ? 2 : 0));
  entry->set_failures(static_cast<int64_t>(elapsed_s * 0.04));
  entry->set_default_ns(tuned.default_ns);
  entry->set_best_ns(tuned.best_ns);
  for (int i = 1; i <= 24 && tuned.done > 0; ++i) {
    pb::JobPoint& point = *entry->add_points();
    point.set_elapsed_s(elapsed_s * i / 24);
    point.set_saved_ns((tuned.default_ns - tuned.best_ns) *
                       std::min(1.0, 1.06 * (1 - std::exp(-i / 8.5))));
  }
}

// What a search finds looks like this: much at first, little later.
void Fill(const Curve& curve, uint32_t seed, int seconds, pb::TuningCurve* message) {
  std::mt19937 random(seed);
  message->set_workload_key(absl::StrCat("workload-", seed));
  message->set_workload(curve.workload);
  message->set_target(curve.target);
  message->set_numerics("fp32");
  message->set_user(curve.user);
  message->set_device(curve.device);
  const int measured = curve.measured + (curve.moves ? 8 * seconds : 0);
  message->set_measured(measured);
  message->set_failed(measured / 29);
  const int64_t now_ms = kStartMs + int64_t{1000} * seconds;
  message->set_latest_unix_ms(curve.moves ? now_ms : now_ms - 240'000);
  double best = 0;
  for (int i = 1; i <= measured; ++i) {
    const double chance = std::uniform_real_distribution<>(0, 1)(random);
    const double reach = std::exp(-i / 22.0) + 0.02 + 0.5 * chance;
    const double cost =
        i == 1 ? curve.first_ns : curve.floor_ns + (curve.first_ns - curve.floor_ns) * reach;
    if (best > 0 && cost >= best) continue;
    best = cost;
    pb::CurvePoint& point = *message->add_points();
    point.set_measured(i);
    point.set_best_ns(cost);
  }
}

}  // namespace

pb::FarmSnapshot DemoFarm(int seconds) {
  pb::FarmSnapshot snapshot;
  const int64_t now_ms = kStartMs + int64_t{1000} * seconds;
  snapshot.set_unix_ms(now_ms);
  pb::TrackerEntry& tracker = *snapshot.mutable_tracker();
  tracker.set_version("0.1.0");
  tracker.set_started_unix_ms(kStartMs - 93'600'000);
  tracker.set_serving(true);
  tracker.set_agents_connected(10);
  int epoch = 3;
  for (const Board& board : kBoards) {
    pb::DeviceEntry& entry = *snapshot.add_devices();
    pb::DeviceInfo& info = *entry.mutable_info();
    info.set_name(board.name);
    info.set_target(absl::StrCat("target/1 x86_64 cpu=", board.cpu,
                                 " features= l1=32768 l2=524288 l3=0 cores=", board.cores,
                                 " threads=1"));
    info.set_state(board.state);
    info.set_reason(board.reason);
    info.set_epoch(epoch += 7);
    entry.set_why(board.why);
    entry.set_next_step(NextStep(info));
    entry.set_since_unix_ms(now_ms - int64_t{1000} * board.since_s);
    if (board.state != pb::LOST) {
      entry.set_agent(board.name);
      entry.set_connected(true);
      entry.set_lease_ms_left(30'000 - (seconds % 5) * 1000);
    }
    if (*board.user != '\0') {
      pb::AttemptEntry& attempt = *entry.add_attempts();
      attempt.set_user(board.user);
      attempt.set_workload(board.workload);
      attempt.set_candidates(16);
    }
    ++(*snapshot.mutable_devices_by_state())[StateWord(board.state)];
  }
  for (const Waiting& waiting : kQueue) {
    pb::QueueEntry& entry = *snapshot.add_queue();
    entry.set_user(waiting.user);
    entry.set_selector(waiting.selector);
    entry.set_target(waiting.target);
    entry.set_batches(waiting.batches);
    entry.set_priority(waiting.priority);
    entry.set_waiting_ms(int64_t{1000} * waiting.waiting_s);
    entry.set_why(waiting.why);
    snapshot.set_queued_batches(snapshot.queued_batches() + waiting.batches);
  }
  snapshot.set_running_batches(8);
  const struct {
    const char* user;
    double weight, share;
    int64_t waiting, running, devices, devices_max;
  } users[] = {{"ada", 2, 0.52, 412, 3, 2, 0},
               {"grace", 1, 0.31, 37, 4, 2, 2},
               {"edsger", 1, 0.17, 11, 1, 1, 4}};
  for (const auto& user : users) {
    pb::UserEntry& entry = *snapshot.add_users();
    entry.set_user(user.user);
    entry.set_weight(user.weight);
    entry.set_device_ms(user.share * (8.1e7 + 5000.0 * seconds));
    entry.set_waiting(user.waiting);
    entry.set_running(user.running);
    entry.set_devices(user.devices);
    entry.set_devices_max(user.devices_max);
  }
  auto& kinds = *snapshot.mutable_totals()->mutable_measurements();
  kinds["ok"] = 41'208 + 40 * seconds;
  kinds["compile_error"] = 812;
  kinds["crash"] = 31;
  kinds["timeout"] = 104;
  kinds["incorrect"] = 12;
  kinds["not_quiet"] = 260 + seconds;
  kinds["infra"] = 2;
  for (const Tuned& tuned : kJobs) {
    Fill(tuned, seconds, snapshot.add_jobs());
    ++(*snapshot.mutable_jobs_by_phase())[PhaseWord(tuned.phase)];
  }
  for (const int number : {1, 2}) {
    pb::DaemonInfo& daemon = *snapshot.add_daemons();
    daemon.set_name(absl::StrCat("tunerd-", number));
    daemon.set_jobs(1);
    daemon.set_jobs_max(1);
    daemon.set_silence_ms(400);
    pb::BuilderInfo& builder = *snapshot.add_builders();
    builder.set_name(absl::StrCat("rack-", number));
    builder.set_capacity(32);
    builder.set_building(number == 1 ? 32 : 9);
    builder.mutable_version()->set_tool_version("0.1.0");
    builder.mutable_version()->set_codegen_epoch(3);
    builder.set_silent_ms(1200);
  }
  snapshot.set_queued_builds(14);
  uint32_t seed = 1;
  for (const Curve& curve : kCurves) Fill(curve, seed++, seconds, snapshot.add_curves());
  return snapshot;
}

}  // namespace hone

// Kernels of an enemy, one attack a test: each has to end as a measurement that says what happened,
// cost the others of its batch nothing, leave no process behind, and leave the worker ready for the
// next batch at once. The worker program itself runs, in its highest level of sandbox and in its
// lowest.
#include <gmock/gmock.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "device_agent/measure/orders.h"
#include "device_agent/sandbox/probe.h"
#include "proto/worker.pb.h"
#include "rpc/child_process.h"
#include "rpc/frame.h"
#include "tests/device_agent/agent_batches.h"
#include "tests/device_agent/kernels/hostile_attacks.h"

namespace hone {
namespace {

using std::chrono::steady_clock;
using testing::HasSubstr;

std::string WorkerProgram() { return std::string(getenv("HONE_BIN_DIR")) + "/hone-worker"; }

pb::Candidate HostileCandidate(int64_t attack, int64_t detail = 0, int64_t file = 0) {
  pb::Candidate candidate = TestCandidate("good");
  candidate.mutable_artifact()->set_code(KernelCode("hostile_kernel"));
  pb::Manifest& manifest = *candidate.mutable_artifact()->mutable_manifest();
  manifest.set_scratch_shared_bytes(32768);
  (*candidate.mutable_params())["n"] = kTestElements;
  const auto add = [&](const char* name, int64_t value) {
    pb::ParamInfo& param = *manifest.add_params();
    param.set_name(name);
    param.set_max(value);
    (*candidate.mutable_params())[name] = value;
  };
  add("attack", attack);
  add("detail", detail);
  add("file", file);
  return candidate;
}

// All processes that come of `pid`, itself not counted.
std::vector<pid_t> DescendantsOf(pid_t pid) {
  std::vector<pid_t> descendants;
  std::ifstream file(absl::StrCat("/proc/", pid, "/task/", pid, "/children"));
  for (pid_t child; file >> child;) {
    descendants.push_back(child);
    for (pid_t below : DescendantsOf(child)) descendants.push_back(below);
  }
  return descendants;
}

class HostileWorker {
 public:
  explicit HostileWorker(const std::string& level, bool as_nobody = false)
      : worker_(Start(level, as_nobody)) {}

  std::vector<pb::Measurement> Measure(const pb::Batch& batch) {
    pb::MeasureRequest request;
    *request.mutable_batch() = batch;
    EXPECT_TRUE(WriteFrame(worker_.socket(), request).ok());
    std::vector<pb::Measurement> measurements(batch.candidates_size());
    pb::MeasureReply reply;
    while (ReadFrame(worker_.socket(), reply).value_or(false)) {
      if (reply.has_done()) {
        EXPECT_EQ(reply.done().error(), "");
        return measurements;
      }
      measurements.at(reply.candidate().index()) = reply.candidate().measurement();
    }
    ADD_FAILURE() << "the worker ended";
    return measurements;
  }

  // The hostile one between two good ones, which must not suffer, and then another batch.
  pb::Measurement Attack(const pb::Candidate& hostile) {
    pb::Batch batch = TestBatch({"good", "good", "good"});
    *batch.mutable_candidates(1) = hostile;
    const std::vector<pb::Measurement> measurements = Measure(batch);
    EXPECT_EQ(measurements[0].failure(), pb::OK) << measurements[0].message();
    EXPECT_EQ(measurements[2].failure(), pb::OK) << measurements[2].message();
    const auto start = steady_clock::now();
    const std::vector<pb::Measurement> next = Measure(TestBatch({"good"}));
    EXPECT_EQ(next[0].failure(), pb::OK) << next[0].message();
    EXPECT_LT(steady_clock::now() - start, std::chrono::seconds(2));
    return measurements[1];
  }

  size_t ProcessCount() const { return DescendantsOf(worker_.pid()).size(); }

 private:
  static ChildProcess Start(const std::string& level, bool as_nobody) {
    ChildProcess::Options options;
    options.program = WorkerProgram();
    options.arguments = {"--sandbox=" + level};
    if (as_nobody) {
      options.program = "/usr/bin/setpriv";
      options.arguments = {"--reuid=65534", "--regid=65534", "--clear-groups", WorkerProgram(),
                           "--sandbox=" + level};
    }
    return ChildProcess::Start(options).value();
  }

  ChildProcess worker_;
};

struct Row {
  const char* name;
  int64_t attack = 0;
  int64_t detail = 0;
  int64_t file = 0;
  pb::FailureKind failure = pb::FORBIDDEN;
  const char* message = "";
};

Row Calling(const char* name, int64_t number) {
  return {name, HOSTILE_SYSTEM_CALL, number, 0, pb::FORBIDDEN, name};
}

const Row kRows[] = {
    {"loop", HOSTILE_LOOP, 0, 0, pb::TIMEOUT, "200 ms"},
    {"loop_with_signals_blocked", HOSTILE_LOOP_WITH_SIGNALS_BLOCKED, 0, 0, pb::TIMEOUT, "200 ms"},
    {"sleep", HOSTILE_SLEEP, 0, 0, pb::TIMEOUT, "200 ms"},
    {"segfault", HOSTILE_SEGFAULT, 0, 0, pb::CRASH, "SIGSEGV at address 0x10"},
    {"abort", HOSTILE_ABORT, 0, 0, pb::CRASH, "SIGILL"},
    {"smash_stack", HOSTILE_SMASH_STACK, 0, 0, pb::CRASH, "SIGSEGV"},
    {"overflow_stack", HOSTILE_OVERFLOW_STACK, 0, 0, pb::CRASH, "SIGSEGV"},
    {"illegal_instruction", HOSTILE_ILLEGAL_INSTRUCTION, 0, 0, pb::CRASH, "SIGILL"},
    {"divide_by_zero", HOSTILE_DIVIDE_BY_ZERO, 0, 0, pb::CRASH, "SIG"},
    {"misaligned", HOSTILE_MISALIGNED, 0, 0, pb::CRASH, "SIG"},
    {"fork_bomb", HOSTILE_FORK_BOMB, 0, 0, pb::FORBIDDEN, "clone"},
    {"double_fork_and_setsid", HOSTILE_DAEMON, 0, 0, pb::FORBIDDEN, "clone"},
    {"thread_bomb", HOSTILE_HELPER_THREAD, 0, 0, pb::FORBIDDEN, "clone"},
    {"memory_hog", HOSTILE_MEMORY_HOG, 0, 0, pb::FORBIDDEN, "mmap"},
    {"break_hog", HOSTILE_BREAK_HOG, 0, 0, pb::CRASH, "SIGILL"},
    {"writable_code", HOSTILE_WRITABLE_CODE, 0, 0, pb::FORBIDDEN, "mprotect"},
    {"write_far_beside", HOSTILE_WRITE_FAR_BESIDE, 0, 0, pb::CRASH, "past the end of output 'y'"},
    {"exit_with_success", HOSTILE_EXIT, 0, 0, pb::CRASH, "exit code 0"},
    {"write_garbage_to_orders", HOSTILE_WRITE_TO_ORDERS, 8, 0, pb::FORGED, "not its own"},
    {"forge_an_answer", HOSTILE_WRITE_TO_ORDERS, sizeof(Answer), 0, pb::FORGED, "not asked"},
    {"remember_outputs", HOSTILE_REMEMBER_OUTPUTS, 0, 0, pb::FORGED, "inputs it had not seen"},
    {"read_shadow", HOSTILE_READ_SECRET, 0, 0, pb::FORBIDDEN, "openat"},
    {"read_ssh_key", HOSTILE_READ_SECRET, 0, 1, pb::FORBIDDEN, "openat"},
    {"read_environment", HOSTILE_READ_SECRET, 0, 2, pb::FORBIDDEN, "openat"},
    {"read_others_scratch", HOSTILE_READ_SECRET, 0, 3, pb::FORBIDDEN, "openat"},
    {"call_with_signals_blocked", HOSTILE_SYSTEM_CALL_WITH_SIGNALS_BLOCKED, SYS_socket, 0,
     pb::FORBIDDEN, "the sandbox forbids"},
    Calling("mlock", SYS_mlock),
    Calling("memfd_create", SYS_memfd_create),
    Calling("ftruncate", SYS_ftruncate),
    Calling("fallocate", SYS_fallocate),
    Calling("dup", SYS_dup),
    Calling("socket", SYS_socket),
    Calling("socketpair", SYS_socketpair),
    Calling("connect", SYS_connect),
    Calling("ptrace", SYS_ptrace),
    Calling("process_vm_writev", SYS_process_vm_writev),
    Calling("process_vm_readv", SYS_process_vm_readv),
    Calling("keyctl", SYS_keyctl),
    Calling("bpf", SYS_bpf),
    Calling("perf_event_open", SYS_perf_event_open),
    Calling("io_uring_setup", SYS_io_uring_setup),
    Calling("userfaultfd", SYS_userfaultfd),
    Calling("mount", SYS_mount),
    Calling("unshare", SYS_unshare),
    Calling("setns", SYS_setns),
    Calling("kexec_load", SYS_kexec_load),
    Calling("init_module", SYS_init_module),
    Calling("finit_module", SYS_finit_module),
    Calling("ioctl", SYS_ioctl),
    Calling("kill", SYS_kill),
    Calling("execve", SYS_execve),
    Calling("shmget", SYS_shmget),
    Calling("mq_open", SYS_mq_open),
    Calling("rt_sigaction", SYS_rt_sigaction),
    Calling("sched_setaffinity", SYS_sched_setaffinity),
    Calling("prctl", SYS_prctl),
    Calling("reboot", SYS_reboot),
};

std::string NameOf(const testing::TestParamInfo<Row>& row) { return row.param.name; }

class HostileKernelTest : public testing::TestWithParam<Row> {
 protected:
  void SetUp() override {
    const StatusOr<SandboxReport> sandbox = ProbeSandbox(WorkerProgram(), std::nullopt);
    ASSERT_TRUE(sandbox.ok()) << sandbox.status().message();
    if (sandbox->level < SandboxLevel::kEmptyRoot)
      GTEST_SKIP() << "no sandbox of level L3 here: " << sandbox->why_not_higher;
  }
};

TEST_P(HostileKernelTest, CostsOneCandidate) {
  HostileWorker worker("L3");
  const Row& row = GetParam();
  const auto start = steady_clock::now();
  const pb::Measurement measurement =
      worker.Attack(HostileCandidate(row.attack, row.detail, row.file));
  EXPECT_EQ(measurement.failure(), row.failure)
      << pb::FailureKind_Name(measurement.failure()) << ": " << measurement.message();
  EXPECT_THAT(measurement.message(), HasSubstr(row.message));
  // A hang costs its timeout and half a second; the rest is the batches' own.
  EXPECT_LT(steady_clock::now() - start, std::chrono::seconds(4));
  EXPECT_EQ(worker.ProcessCount(), 1u) << "of the namespace, its first process should be left";
}

INSTANTIATE_TEST_SUITE_P(Table, HostileKernelTest, testing::ValuesIn(kRows), NameOf);

#if defined(__x86_64__)
// Turned back by a kernel of 0.6 ms. On a machine that is busy enough a run is interrupted for
// longer than what the kernel turns back; what it claims is then true, and it has won nothing.
void ExpectTrueTimes(const pb::Measurement& measurement) {
  if (measurement.failure() == pb::OK) {
    EXPECT_GE(measurement.cost_ns(), 0.6e6);
    return;
  }
  EXPECT_EQ(measurement.failure(), pb::FORGED) << measurement.message();
  EXPECT_THAT(measurement.message(), HasSubstr("CPU time"));
}

TEST_F(HostileKernelTest, IsNotBelievedAClockThatItTurnedBack) {
  HostileWorker worker("L3");
  ExpectTrueTimes(worker.Attack(HostileCandidate(HOSTILE_TURN_CLOCK_BACK)));
}
#endif

TEST_F(HostileKernelTest, CostsOneCandidateUnderAnOrdinaryUserToo) {
  if (geteuid() != 0) GTEST_SKIP() << "we are no other user than in the tests above";
  if (access("/usr/bin/setpriv", X_OK) != 0) GTEST_SKIP() << "no setpriv to become nobody by";
  HostileWorker worker("L3", /*as_nobody=*/true);
  EXPECT_EQ(worker.Attack(HostileCandidate(HOSTILE_LOOP)).failure(), pb::TIMEOUT);
  EXPECT_EQ(worker.Attack(HostileCandidate(HOSTILE_FORK_BOMB)).failure(), pb::FORBIDDEN);
  EXPECT_EQ(worker.Attack(HostileCandidate(HOSTILE_READ_SECRET)).failure(), pb::FORBIDDEN);
}

// Without walls, in a process alone: the worker's own clocks and limits have to do.
class BareKernelTest : public testing::Test {
 protected:
  HostileWorker worker_{"L0"};
};

TEST_F(BareKernelTest, IsTimedOutAndItsProcessesAreFound) {
  EXPECT_EQ(worker_.Attack(HostileCandidate(HOSTILE_LOOP_WITH_SIGNALS_BLOCKED)).failure(),
            pb::TIMEOUT);
  EXPECT_EQ(worker_.ProcessCount(), 0u);
  worker_.Attack(HostileCandidate(HOSTILE_DAEMON));
  EXPECT_EQ(worker_.ProcessCount(), 0u);
}

TEST_F(BareKernelTest, TakesNoMoreMemoryThanIsLeftToIt) {
#if defined(HONE_SANITIZED)
  GTEST_SKIP() << "a sanitizer's own memory has no limit";
#endif
  // The third piece of 64 MiB or so is refused; the kernel then gives up.
  const auto start = steady_clock::now();
  EXPECT_EQ(worker_.Attack(HostileCandidate(HOSTILE_MEMORY_HOG)).failure(), pb::CRASH);
  EXPECT_LT(steady_clock::now() - start, std::chrono::seconds(3));
}

TEST_F(BareKernelTest, IsFoundOutWhenItLies) {
#if defined(HONE_SANITIZED)
  GTEST_SKIP() << "a sanitizer takes CPU time of its own";
#endif
  EXPECT_EQ(worker_.Attack(HostileCandidate(HOSTILE_WRITE_TO_ORDERS, 8)).failure(), pb::FORGED);
  EXPECT_EQ(worker_.Attack(HostileCandidate(HOSTILE_REMEMBER_OUTPUTS)).failure(), pb::FORGED);
#if defined(__x86_64__)
  ExpectTrueTimes(worker_.Attack(HostileCandidate(HOSTILE_TURN_CLOCK_BACK)));
#endif
}

TEST_F(BareKernelTest, IsFoundOutWhenAThreadOfItWorksOnBetweenRuns) {
#if defined(HONE_SANITIZED) || !defined(__x86_64__)
  GTEST_SKIP() << "a sanitizer takes CPU time of its own; the attack is written for x86-64";
#endif
  // On a machine that is busy enough such a thread gets no core meanwhile, and then does not help.
  pb::Measurement helped;
  for (int i = 0; i < 5 && helped.failure() == pb::OK; ++i)
    helped = worker_.Attack(HostileCandidate(HOSTILE_HELPER_THREAD));
  EXPECT_EQ(helped.failure(), pb::FORGED) << helped.message();
}

}  // namespace
}  // namespace hone

#include "device_agent/measure/batch_child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <new>

#include "absl/strings/str_cat.h"
#include "base/cpus.h"
#include "base/target.h"
#include "device_agent/measure/batch_runner.h"
#include "device_agent/measure/watch_page.h"
#include "rpc/child_process.h"
#include "rpc/frame.h"
#include "runtime/thread_pool.h"

namespace hone {
namespace {

constexpr int kExitDone = 0;
constexpr int kExitMemorySpoiled = 10;
constexpr int kExitNoMachinery = 11;  // our own: no thread pool, the zygote is gone

constexpr int64_t kTimeoutDefaultMs = 10000;
constexpr int64_t kTimeoutMinMs = 50;
constexpr int64_t kSetupTimeoutMs = 30000;  // filling inputs, before any candidate runs

// --- In the child -------------------------------------------------------------------------------

// The one static of this file: a signal handler has nothing else to find its page by.
WatchPage* fault_page = nullptr;

// Notes where the fault was; returning runs the instruction again, which then ends the process with
// the signal's default action (SA_RESETHAND).
void NoteFault(int, siginfo_t* info, void*) {
  fault_page->fault_address.store(reinterpret_cast<uint64_t>(info->si_addr));
}

void InstallFaultHandler(WatchPage& page) {
  fault_page = &page;
  // The kernel may have used up the normal one. With tile registers a frame takes 11 KiB.
  static char handler_stack[32768];
  stack_t stack = {};
  stack.ss_sp = handler_stack;
  stack.ss_size = sizeof(handler_stack);
  sigaltstack(&stack, nullptr);
  struct sigaction action = {};
  action.sa_sigaction = NoteFault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESETHAND;
  for (int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE}) sigaction(signal, &action, nullptr);
}

void Limit(__rlimit_resource resource, rlim_t value) {
  const rlimit limit = {value, value};
  setrlimit(resource, &limit);
}

void LimitChild(const pb::Batch& batch, int threads) {
  Limit(RLIMIT_CORE, 0);
  Limit(RLIMIT_FSIZE, 0);
#if !defined(HONE_SANITIZED)
  const rlim_t page = static_cast<rlim_t>(sysconf(_SC_PAGESIZE));
  Limit(RLIMIT_AS, page * static_cast<rlim_t>(sysconf(_SC_PHYS_PAGES)));
#endif
  // A backstop behind the watch, which is much stricter.
  const int64_t timeout_s = batch.timeout_ms() / 1000 + 1;
  Limit(RLIMIT_CPU, static_cast<rlim_t>(threads * (120 + 50 * timeout_s)));
}

bool NeedsTiles(const pb::Batch& batch) {
  const auto needs = [](const pb::Candidate& candidate) {
    return candidate.artifact().manifest().needs_tiles();
  };
  return needs(batch.reference()) ||
         std::any_of(batch.candidates().begin(), batch.candidates().end(), needs);
}

[[noreturn]] void RunChild(const pb::Batch& batch, const std::vector<int>& indices,
                           const BatchChildOptions& options, int socket, pid_t zygote,
                           WatchPage& page) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (getppid() != zygote) _exit(kExitNoMachinery);
  if (options.close_fd >= 0) close(options.close_fd);
  const Target target = Target::Parse(batch.target()).value_or(Target());
  const int threads = target.threads;
  InstallFaultHandler(page);
  LimitChild(batch, threads);
  hone_pool* pool = hone_pool_create(threads, nullptr);
  if (pool == nullptr) _exit(kExitNoMachinery);
  // Where there are no tiles, loading the candidates that need them says so.
  if (NeedsTiles(batch)) hone_pool_use_tiles(pool, nullptr);
  if (threads == 1) options.core->Enter();
  const std::vector<int> cpus = AllowedCpus();
  if (threads > 1) SpreadThreads();
  Limit(RLIMIT_NPROC, 0);  // nobody forks from here on

  const auto report = [socket](const pb::MeasureReply& reply) {
    if (!WriteFrame(socket, reply).ok()) _exit(kExitNoMachinery);
  };
  BatchRunner runner(batch, *hone_pool_host(pool), page,
                     {.target = target,
                      .cpus = cpus,
                      .best_known_ns = options.best_known_ns,
                      .best_known_gflops = options.best_known_gflops,
                      .memory = options.memory},
                     report);
  const BatchRunner::End end = runner.Run(indices);
  // Destructors could only trip over what a candidate broke.
  _exit(end == BatchRunner::End::kDone ? kExitDone : kExitMemorySpoiled);
}

// --- In the zygote ------------------------------------------------------------------------------

int64_t MonotonicMillis() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return int64_t{t.tv_sec} * 1000 + t.tv_nsec / 1000000;
}

// "SIGSEGV at 64 bytes past the end of output 'y'": by the nearest buffer, if one is near.
std::string DescribeCrash(int signal, const WatchPage& page) {
  const std::string name = SignalName(signal);
  const uint64_t address = page.fault_address.load();
  if ((signal != SIGSEGV && signal != SIGBUS) || address == 0) return name;
  uint64_t nearest = 1 << 16;
  std::string where = absl::StrCat("at address 0x", absl::Hex(address));
  const int count = std::clamp(page.region_count.load(), 0, WatchPage::kRegionsMax);
  for (int i = 0; i < count; ++i) {
    const WatchPage::Region& region = page.regions[i];
    const std::string label(region.name, strnlen(region.name, sizeof(region.name)));
    const uint64_t end = region.begin + region.bytes;
    if (address >= region.begin && address < end) {
      return absl::StrCat(name, " by a write to ", label, " at byte ", address - region.begin,
                          ", which is read-only");
    }
    const bool after = address >= end;
    const uint64_t distance = after ? address - end : region.begin - address;
    if (distance >= nearest) continue;
    nearest = distance;
    where = after ? absl::StrCat("at ", distance, " bytes past the end of ", label)
                  : absl::StrCat("at ", distance, " bytes before ", label);
  }
  return absl::StrCat(name, " ", where);
}

// Owns what belongs to one child: its socket, its pidfd, the shared page.
class Child {
 public:
  Child() = default;
  ~Child() {
    if (socket_ >= 0) close(socket_);
    if (pidfd_ >= 0) close(pidfd_);
    if (page_ != nullptr) munmap(page_, sizeof(WatchPage));
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  Status Fork(const pb::Batch& batch, const std::vector<int>& indices,
              const BatchChildOptions& options) {
    void* shared =
        mmap(nullptr, sizeof(WatchPage), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
      return absl::UnavailableError(absl::StrCat("mmap: ", strerror(errno)));
    page_ = new (shared) WatchPage;
    int sockets[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0)
      return absl::UnavailableError(absl::StrCat("socketpair: ", strerror(errno)));
    socket_ = sockets[0];
    const pid_t zygote = getpid();
    pid_ = fork();
    if (pid_ == 0) {
      close(sockets[0]);
      RunChild(batch, indices, options, sockets[1], zygote, *page_);
    }
    close(sockets[1]);
    if (pid_ < 0) return absl::UnavailableError(absl::StrCat("fork: ", strerror(errno)));
    pidfd_ = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
    return absl::OkStatus();
  }

  // Waits until the child says something, ends, or `wait_ms` pass; true when it has ended.
  bool Await(int wait_ms) {
    pollfd events[2] = {{socket_open_ ? socket_ : -1, POLLIN, 0}, {pidfd_, POLLIN, 0}};
    poll(events, 2, wait_ms);
    return events[1].revents != 0;
  }

  // Takes what the child has sent. False when it sent what is not a frame.
  bool Relay(const std::vector<int>& indices,
             const std::function<void(const pb::MeasureReply&)>& relay) {
    char chunk[16384];
    while (socket_open_) {
      const ssize_t n = recv(socket_, chunk, sizeof(chunk), MSG_DONTWAIT);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
      if (n <= 0) {
        socket_open_ = false;
        break;
      }
      decoder_.Append(absl::string_view(chunk, static_cast<size_t>(n)));
    }
    pb::MeasureReply reply;
    while (true) {
      const StatusOr<bool> complete = decoder_.Next(reply);
      if (!complete.ok()) return false;
      if (!*complete) return true;
      if (reply.has_candidate() &&
          std::find(indices.begin(), indices.end(), reply.candidate().index()) == indices.end())
        return false;
      relay(reply);
    }
  }

  void Kill() { kill(pid_, SIGKILL); }
  int Reap() {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
  }
  const WatchPage& page() const { return *page_; }

 private:
  pid_t pid_ = -1;
  int pidfd_ = -1;
  int socket_ = -1;
  bool socket_open_ = true;
  WatchPage* page_ = nullptr;
  FrameDecoder decoder_;
};

// How long the child may go without a beat.
int64_t PatienceMs(const pb::Batch& batch, const WatchPage& page) {
  const int64_t timeout_ms =
      std::max(batch.timeout_ms() > 0 ? batch.timeout_ms() : kTimeoutDefaultMs, kTimeoutMinMs);
  // The reference is trusted more, and preparing the inputs counts as its time.
  return page.candidate.load() >= 0 ? timeout_ms : std::max(timeout_ms, kSetupTimeoutMs);
}

BatchChildEnd EndOf(int wait_status, const WatchPage& page) {
  using Kind = BatchChildEnd::Kind;
  const int candidate = page.candidate.load();
  if (WIFEXITED(wait_status)) {
    const int code = WEXITSTATUS(wait_status);
    if (code == kExitDone) return {Kind::kDone, candidate, ""};
    if (code == kExitMemorySpoiled) return {Kind::kMemorySpoiled, candidate, ""};
    return {Kind::kCrash, candidate, absl::StrCat("ended the process with exit code ", code)};
  }
  const int signal = WTERMSIG(wait_status);
  if (signal == SIGKILL)
    return {Kind::kNoMemory, candidate, "killed by the system, probably for want of memory"};
  return {Kind::kCrash, candidate, DescribeCrash(signal, page)};
}

}  // namespace

StatusOr<BatchChildEnd> RunBatchInChild(const pb::Batch& batch, const std::vector<int>& indices,
                                        const BatchChildOptions& options,
                                        const std::function<void(const pb::MeasureReply&)>& relay) {
  Child child;
  HONE_RETURN_IF_ERROR(child.Fork(batch, indices, options));
  const WatchPage& page = child.page();
  uint64_t last_beat = page.beat.load();
  int64_t last_beat_ms = MonotonicMillis();
  std::string killed_because;
  bool timed_out = false;
  while (true) {
    const int64_t patience_ms = PatienceMs(batch, page);
    const bool ended = child.Await(static_cast<int>(std::clamp<int64_t>(patience_ms / 4, 5, 50)));
    if (!child.Relay(indices, relay) && killed_because.empty()) {
      killed_because = "wrote to a socket that is not its own";
      child.Kill();
    }
    if (ended) break;
    const int64_t now_ms = MonotonicMillis();
    if (page.beat.load() != last_beat) {
      last_beat = page.beat.load();
      last_beat_ms = now_ms;
    } else if (now_ms - last_beat_ms > patience_ms && killed_because.empty()) {
      timed_out = true;
      killed_because = absl::StrCat("one run took longer than ", patience_ms, " ms");
      child.Kill();
    }
  }
  const int candidate = page.candidate.load();
  const int wait_status = child.Reap();
  if (killed_because.empty()) return EndOf(wait_status, page);
  return BatchChildEnd{timed_out ? BatchChildEnd::Kind::kTimeout : BatchChildEnd::Kind::kCrash,
                       candidate, killed_because};
}

}  // namespace hone

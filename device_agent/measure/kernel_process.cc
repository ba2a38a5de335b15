#include "device_agent/measure/kernel_process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <new>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "device_agent/measure/kernel_host.h"
#include "device_agent/sandbox/rlimits.h"
#include "rpc/child_process.h"
#include "runtime/thread_pool.h"

namespace hone {
namespace {

constexpr int64_t kTimeoutDefaultMs = 10000;
constexpr int64_t kTimeoutMinMs = 50;
constexpr int64_t kLoadingTimeoutMs = 30000;  // finding memory; no candidate runs yet
constexpr int64_t kPatienceAltogether = 30;   // for an order, in timeouts of one run
constexpr int kDeathTimeoutMs = 2000;

int64_t Nanos(clockid_t clock) {
  timespec t;
  clock_gettime(clock, &t);
  return int64_t{t.tv_sec} * 1000000000 + t.tv_nsec;
}

int64_t MonotonicMillis() { return Nanos(CLOCK_MONOTONIC) / 1000000; }

// What a kernel may have written, as text that is fit for logs and messages.
std::string Printable(absl::string_view text) {
  std::string printable(text);
  for (char& c : printable) {
    if (!absl::ascii_isprint(static_cast<unsigned char>(c))) c = '?';
  }
  return printable;
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
    const std::string label =
        Printable(absl::string_view(region.name, strnlen(region.name, sizeof(region.name))));
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

KernelProcess::End EndOf(int wait_status, const WatchPage& page) {
  const std::string call = page.forbidden_call.load() >= 0
                               ? SystemCallName(page.forbidden_call.load())
                               : "a system call";
  const std::string forbidden = absl::StrCat("made ", call, ", which the sandbox forbids");
  if (WIFEXITED(wait_status)) {
    const int code = WEXITSTATUS(wait_status);
    if (code == kExitForbidden) return {pb::FORBIDDEN, forbidden};
    if (code == kExitNoMachinery)
      return {pb::INFRA, "the process that runs kernels could not be set up"};
    return {pb::CRASH, absl::StrCat("ended the process with exit code ", code)};
  }
  const int signal = WTERMSIG(wait_status);
  if (signal == SIGKILL)
    return {pb::OUT_OF_MEMORY, "killed by the system, probably for want of memory"};
  if (signal == SIGSYS) return {pb::FORBIDDEN, forbidden};
  return {pb::CRASH, DescribeCrash(signal, page)};
}

// The child's life, from the fork on.
[[noreturn]] void Live(const KernelProcess::Host& host, const KernelProcessOptions& options,
                       int64_t timeout_ms, int socket, pid_t worker, WatchPage& page) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (getppid() != worker) _exit(kExitNoMachinery);
  // Also closes what the worker has there, its way to the agent.
  if (socket != kOrdersFd && dup2(socket, kOrdersFd) != kOrdersFd) _exit(kExitNoMachinery);
  // A backstop behind the watch, which is much stricter.
  LimitWhileLoading(options.threads * (120 + 50 * (timeout_ms / 1000 + 1)));
  host(page);
  _exit(kExitNoMachinery);  // no host comes back
}

void HostCandidates(std::vector<const pb::Candidate*> candidates,
                    const std::vector<BoundaryBuffer>& boundary,
                    const KernelProcessOptions& options, WatchPage& page) {
  hone_pool* pool = hone_pool_create(options.threads, nullptr);
  if (pool == nullptr) _exit(kExitNoMachinery);
  // Where there are no tiles, loading the candidates that need them says so.
  if (options.tiles) hone_pool_use_tiles(pool, nullptr);
  if (options.threads > 1) SpreadThreads();
  KernelHostOptions host;
  host.candidates = std::move(candidates);
  host.boundary = &boundary;
  host.host = hone_pool_host(pool);
  host.memory = options.memory;
  host.watch = &page;
  host.threads = options.threads;
  host.cold_constants = options.cold_constants;
  host.lock_down = [&] { return options.sandbox->LockDown(); };
  HostKernels(kOrdersFd, host);
}

}  // namespace

StatusOr<std::unique_ptr<KernelProcess>> KernelProcess::Start(
    std::vector<const pb::Candidate*> candidates, const std::vector<BoundaryBuffer>& boundary,
    const KernelProcessOptions& options) {
  const size_t count = candidates.size();
  return Start(
      count,
      [&](WatchPage& page) { HostCandidates(std::move(candidates), boundary, options, page); },
      options);
}

StatusOr<std::unique_ptr<KernelProcess>> KernelProcess::Start(size_t count, const Host& host,
                                                              const KernelProcessOptions& options) {
  std::unique_ptr<KernelProcess> process(new KernelProcess(options));
  HONE_RETURN_IF_ERROR(process->Fork(host));
  process->AwaitLoaded(count);
  return process;
}

KernelProcess::~KernelProcess() {
  Kill().IgnoreError();
  if (socket_ >= 0) close(socket_);
  if (pidfd_ >= 0) close(pidfd_);
  if (page_ != nullptr) munmap(page_, sizeof(WatchPage));
}

Status KernelProcess::Fork(const Host& host) {
  const auto failed = [](absl::string_view what) {
    return absl::UnavailableError(absl::StrCat(what, ": ", strerror(errno)));
  };
  void* shared =
      mmap(nullptr, sizeof(WatchPage), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return failed("mmap");
  page_ = new (shared) WatchPage;
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0)
    return failed("socketpair");
  socket_ = sockets[0];
  const pid_t worker = getpid();
  pid_ = fork();
  if (pid_ == 0) Live(host, options_, options_.timeout_ms, sockets[1], worker, *page_);
  close(sockets[1]);
  if (pid_ < 0) return failed("fork");
  pidfd_ = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  if (pidfd_ < 0 || clock_getcpuclockid(pid_, &cpu_clock_) != 0) return failed("pidfd");
  return absl::OkStatus();
}

void KernelProcess::AwaitLoaded(size_t count) {
  for (size_t i = 0; i <= count; ++i) {
    const std::optional<Answer> answer = AwaitAnswer(kLoadingTimeoutMs);
    if (!answer.has_value()) return;
    if (i == count) {  // ready
      around_ns_ = answer->around_ns;
      answered_cpu_ns_ = CpuNanos();
      return;
    }
    loaded_.emplace_back(static_cast<absl::StatusCode>(answer->status), Printable(answer->text));
  }
}

std::optional<Answer> KernelProcess::Carry(Order order) {
  if (end_.failure != pb::OK) return std::nullopt;
  if (getrandom(&order.nonce, sizeof(order.nonce), 0) != sizeof(order.nonce)) order.nonce += 1;
  const int64_t cpu_ns = CpuNanos();
  seen_.idle_cpu_ns += static_cast<double>(cpu_ns - answered_cpu_ns_);
  ++seen_.pauses;
  const int64_t start_ns = Nanos(CLOCK_MONOTONIC_RAW);
  if (send(socket_, &order, sizeof(order), MSG_NOSIGNAL) != sizeof(order)) {
    // It is gone, or about to be; waiting says how.
  }
  const int64_t timeout_ms =
      std::max(options_.timeout_ms > 0 ? options_.timeout_ms : kTimeoutDefaultMs, kTimeoutMinMs);
  const std::optional<Answer> answer = AwaitAnswer(timeout_ms);
  seen_.wall_ns = static_cast<double>(Nanos(CLOCK_MONOTONIC_RAW) - start_ns);
  if (!answer.has_value()) return std::nullopt;
  answered_cpu_ns_ = CpuNanos();
  seen_.cpu_ns = static_cast<double>(answered_cpu_ns_ - cpu_ns);
  const bool is_timed = order.kind != OrderKind::kWarmUp;
  if (answer->nonce != order.nonce || answer->sample_count < (is_timed ? 1 : 0) ||
      answer->sample_count > (is_timed ? Answer::kSamplesMax : 0)) {
    Condemn(pb::FORGED, "answered what it was not asked");
    return std::nullopt;
  }
  return answer;
}

std::optional<Answer> KernelProcess::AwaitAnswer(int64_t patience_ms) {
  uint64_t last_beat = page_->beat.load();
  const int64_t start_ms = MonotonicMillis();
  int64_t last_beat_ms = start_ms;
  const int wait_ms = static_cast<int>(std::clamp<int64_t>(patience_ms / 4, 5, 50));
  while (true) {
    pollfd events[2] = {{socket_, POLLIN, 0}, {pidfd_, POLLIN, 0}};
    poll(events, 2, wait_ms);
    if (events[0].revents & POLLIN) {
      Answer answer;
      const ssize_t n = recv(socket_, &answer, sizeof(answer), MSG_DONTWAIT | MSG_TRUNC);
      answer.text[sizeof(answer.text) - 1] = '\0';
      for (char& c : answer.text) c = c == '\0' || absl::ascii_isprint(c) ? c : '?';
      if (n == sizeof(answer)) return answer;
      if (n > 0) {
        Condemn(pb::FORGED, "wrote to a socket that is not its own");
        return std::nullopt;
      }
    }
    if (events[1].revents != 0) {
      int status = 0;
      while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
      }
      pid_ = -1;
      end_ = EndOf(status, *page_);
      return std::nullopt;
    }
    const int64_t now_ms = MonotonicMillis();
    // A kernel can make the beat go on, but not for ever.
    if (page_->beat.load() != last_beat && now_ms - start_ms < kPatienceAltogether * patience_ms) {
      last_beat = page_->beat.load();
      last_beat_ms = now_ms;
    } else if (now_ms - last_beat_ms > patience_ms) {
      Condemn(pb::TIMEOUT, absl::StrCat("one run took longer than ", patience_ms, " ms"));
      return std::nullopt;
    }
  }
}

void KernelProcess::Condemn(pb::FailureKind failure, std::string message) {
  end_ = {failure, std::move(message)};
  if (const Status killed = Kill(); !killed.ok()) end_ = {pb::INFRA, std::string(killed.message())};
}

Status KernelProcess::Kill() {
  if (pid_ <= 0) return absl::OkStatus();
  kill(pid_, SIGKILL);
  pollfd event = {pidfd_, POLLIN, 0};
  if (poll(&event, 1, kDeathTimeoutMs) != 1)
    return absl::DeadlineExceededError(
        absl::StrCat("a kernel's process does not die within ", kDeathTimeoutMs, " ms of SIGKILL"));
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
  return absl::OkStatus();
}

int64_t KernelProcess::CpuNanos() const { return Nanos(cpu_clock_); }

}  // namespace hone

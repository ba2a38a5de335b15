#include "device_agent/measure/kernel_host.h"

#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "base/cpus.h"
#include "device_agent/measure/cache_flush.h"
#include "device_agent/measure/calibration.h"
#include "device_agent/measure/fault_handlers.h"
#include "device_agent/measure/interference.h"
#include "device_agent/measure/kernel_timer.h"
#include "device_agent/measure/orders.h"
#include "device_agent/measure/racing.h"

namespace hone {
namespace {

double ThreadCpuNanos() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

void SetText(Answer& answer, absl::string_view text) {
  const size_t length = std::min(text.size(), sizeof(answer.text) - 1);
  memcpy(answer.text, text.data(), length);
  answer.text[length] = '\0';
}

class KernelHost {
 public:
  KernelHost(int orders_fd, const KernelHostOptions& options)
      : orders_fd_(orders_fd), options_(options) {}

  void LoadAll() {
    for (const BoundaryBuffer& buffer : *options_.boundary) {
      if (buffer.info.role() != pb::BUFFER_ROLE_OUTPUT) buffer.memory.MakeReadOnly();
      buffer.memory.MakePresent();
      options_.watch->Beat();
    }
    for (const pb::Candidate* candidate : options_.candidates) {
      auto loaded =
          LoadedCandidate::Load(*candidate, *options_.boundary, *options_.host, options_.memory);
      Answer answer;
      if (!loaded.ok()) {
        answer.status = static_cast<int32_t>(loaded.status().code());
        SetText(answer, loaded.status().message());
      }
      candidates_.push_back(loaded.ok() ? *std::move(loaded) : nullptr);
      options_.watch->Beat();
      Send(answer);
    }
  }

  [[noreturn]] void Obey() {
    InterferenceMeter interference("", AllowedCpus());
    KernelTimer timer{.watch = *options_.watch,
                      .interference = interference,
                      .threads = options_.threads,
                      .cold_constants = options_.cold_constants && CanFlushCaches()};
    for (size_t i = 0; i < candidates_.size(); ++i) timer.tiles |= UsesTiles(i);
    const double around_ns = Rehearse(interference, timer);
    if (!options_.lock_down()) _exit(kExitNoMachinery);
    Answer ready;
    ready.around_ns = around_ns;
    Send(ready);
    Order order;
    while (read(orders_fd_, &order, sizeof(order)) == sizeof(order)) {
      Answer answer;
      answer.nonce = order.nonce;
      const size_t index = static_cast<size_t>(order.candidate);
      if (index >= candidates_.size() || candidates_[index] == nullptr) _exit(kExitNoMachinery);
      timer.flushed_ns = 0;
      timer.tiles = UsesTiles(index);
      Obey(order, *candidates_[index], timer, answer);
      answer.flushed_ns = timer.flushed_ns;
      SetText(answer, candidates_[index]->FirstOverrun());
      Send(answer);
    }
    _exit(0);  // destructors could only trip over what a candidate broke
  }

 private:
  // What a visit costs apart from its samples: on machines with many cores, reading the counters is
  // the most of it. No candidate has run yet, so this is the truth.
  static double Rehearse(InterferenceMeter& interference, const KernelTimer& timer) {
    constexpr int64_t kLater = 1000000000;  // so that the second reading leaves nothing out
    const double start_ns = ThreadCpuNanos();
    Visit visit;
    interference.Read(0);
    timer.CalibrateBefore(visit);
    timer.CalibrateAfter(visit);
    interference.Read(kLater);
    const double cpu_ns = ThreadCpuNanos() - start_ns;
    // The warming up ends by the clock: where others had the core, it took less CPU time now than
    // it will take later.
    return std::max(cpu_ns, timer.tiles ? double{KernelTimer::kTileWarmUpNs} : 0.0);
  }

  // Of a candidate that was loaded: the system has then granted the tiles.
  bool UsesTiles(size_t index) const {
    return candidates_[index] != nullptr &&
           options_.candidates[index]->artifact().manifest().needs_tiles();
  }

  void Send(const Answer& answer) {
    if (write(orders_fd_, &answer, sizeof(answer)) != sizeof(answer)) _exit(kExitNoMachinery);
  }

  void Obey(const Order& order, LoadedCandidate& candidate, KernelTimer& timer, Answer& answer) {
    switch (order.kind) {
      case OrderKind::kPrepareAndRun:
        candidate.Describe(*options_.watch);
        candidate.Prepare();
        options_.watch->Beat();
        [[fallthrough]];
      case OrderKind::kRun:
        candidate.Describe(*options_.watch);
        Take({{timer.Sample(candidate, 1, order.estimate_ns)}}, answer);
        return;
      case OrderKind::kVisit:
        candidate.Describe(*options_.watch);
        Take(timer.TimeVisit(candidate, {order.samples, order.runs_per_sample}, order.estimate_ns),
             answer);
        return;
      case OrderKind::kFirstVisit:
        candidate.Describe(*options_.watch);
        FirstVisit(order, candidate, timer, answer);
        return;
      case OrderKind::kWarmUp:
        Visit visit;
        timer.CalibrateBefore(visit);
        timer.CalibrateAfter(visit);
        answer.throttled = visit.throttled ? 1 : 0;
        return;
    }
  }

  void FirstVisit(const Order& order, LoadedCandidate& candidate, const KernelTimer& timer,
                  Answer& answer) {
    double estimate_ns = order.estimate_ns;
    const Visit visit = timer.TimeVisit([&](Visit& so_far) {
      std::vector<double>& run_ns = so_far.run_ns;
      // A moment without the core is none of the kernel's time.
      const double start_ns = ThreadCpuNanos();
      bool counted_waits = true;
      do {
        counted_waits = !timer.CountsCpuTime(estimate_ns);
        // Each is planned by what the last one said: the checked run was a cold one.
        const int runs = PlanFirstVisit(estimate_ns, order.best_ns).runs_per_sample;
        run_ns.push_back(timer.Sample(candidate, runs, estimate_ns));
        estimate_ns = *std::min_element(run_ns.begin(), run_ns.end());
      } while (TakesAnother(run_ns.size(), estimate_ns, order.best_ns, ThreadCpuNanos() - start_ns,
                            counted_waits));
    });
    answer.raced_out = IsClearlySlower(estimate_ns, order.best_ns) ? 1 : 0;
    Take(visit, answer);
  }

  static void Take(const Visit& visit, Answer& answer) {
    answer.sample_count =
        static_cast<int32_t>(std::min<size_t>(visit.run_ns.size(), Answer::kSamplesMax));
    std::copy_n(visit.run_ns.begin(), answer.sample_count, answer.run_ns);
    answer.gflops_before = visit.gflops_before;
    answer.gflops_after = visit.gflops_after;
    answer.lost_share = visit.lost_share;
    answer.throttled = visit.throttled ? 1 : 0;
    answer.moved = visit.moved ? 1 : 0;
    answer.tiles = visit.tiles ? 1 : 0;
    answer.page_faults = static_cast<int32_t>(visit.page_faults);
  }

  const int orders_fd_;
  const KernelHostOptions& options_;
  std::vector<std::unique_ptr<LoadedCandidate>> candidates_;
};

}  // namespace

void HostKernels(int orders_fd, const KernelHostOptions& options) {
  InstallFaultHandlers(*options.watch);
  KernelHost host(orders_fd, options);
  host.LoadAll();
  // What the worker has open is none of a kernel's business; what was loaded stays mapped.
  syscall(SYS_close_range, static_cast<unsigned>(orders_fd) + 1, ~0u, 0u);
  host.Obey();
}

}  // namespace hone

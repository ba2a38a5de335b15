#include "device_agent/measure/model_host.h"

#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "absl/status/status.h"
#include "device_agent/measure/fault_handlers.h"
#include "device_agent/measure/kernel_host.h"
#include "device_agent/measure/measuring_core.h"
#include "device_agent/measure/orders.h"
#include "runtime/hone.h"

namespace hone {
namespace {

// The clock by which `hone bench` times a model on its own machine.
int64_t MonotonicNanos() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return int64_t{t.tv_sec} * 1000000000 + t.tv_nsec;
}

void SetError(Answer& answer, const hone_error& error) {
  answer.status = static_cast<int32_t>(absl::StatusCode::kUnknown);
  static_assert(sizeof(answer.text) >= sizeof(error.message));
  memcpy(answer.text, error.message, sizeof(error.message));
}

class ModelHost {
 public:
  ModelHost(int orders_fd, const ModelHostOptions& options)
      : orders_fd_(orders_fd), options_(options) {}

  void Load() {
    Answer answer;
    hone_error error = {};
    if (!Load(&error)) {
      options_.page->error_code.store(error.code);
      SetError(answer, error);
    }
    Send(answer);
  }

  [[noreturn]] void Obey() {
    if (!options_.lock_down()) _exit(kExitNoMachinery);
    Send(Answer());  // ready
    Order order;
    while (read(orders_fd_, &order, sizeof(order)) == sizeof(order)) {
      Answer answer;
      answer.nonce = order.nonce;
      answer.sample_count = 1;
      hone_error error = {};
      const bool timed = order.kind == OrderKind::kVisit;
      if (!(timed ? Time(order.runs_per_sample, answer, &error) : Run(answer, &error))) {
        options_.page->error_code.store(error.code);
        SetError(answer, error);
      }
      Send(answer);
    }
    _exit(0);  // destructors could only trip over what the model broke
  }

 private:
  bool Load(hone_error* error) {
    const pb::ModelRun& run = *options_.run;
    options_.package->MakeReadOnly();
    hone_model_options load = {};
    load.threads = options_.threads;
    load.profile = run.timing().profile() ? 1 : 0;
    model_ = hone_model_load_bytes(options_.package->data(),
                                   static_cast<uint64_t>(options_.package->bytes()), &load, error);
    if (model_ == nullptr) return false;
    options_.watch->Beat();
    options_.page->threads.store(hone_model_threads(model_));
    return SetInputs(error) && CheckOutputs(error);
  }

  bool SetInputs(hone_error* error) {
    const pb::ModelRun& run = *options_.run;
    if (run.inputs_size() != hone_model_input_count(model_)) {
      hone_fail(error, HONE_ERROR_ARGUMENT, "%d inputs for a model of %d", run.inputs_size(),
                hone_model_input_count(model_));
      return false;
    }
    for (int i = 0; i < run.inputs_size(); ++i) {
      const auto& shape = run.inputs(i).shape();
      if (hone_model_set_input_shape(model_, i, shape.data(), shape.size(), error) != HONE_OK)
        return false;
    }
    for (int i = 0; i < run.inputs_size(); ++i) {
      const GuardedBuffer& data = (*options_.inputs)[static_cast<size_t>(i)];
      if (hone_model_set_input(model_, i, data.data(), data.bytes(), error) != HONE_OK)
        return false;
      options_.watch->Beat();
    }
    return true;
  }

  bool CheckOutputs(hone_error* error) {
    if (options_.outputs->empty()) return true;
    bool fit = static_cast<int>(options_.outputs->size()) == hone_model_output_count(model_);
    for (int i = 0; fit && i < hone_model_output_count(model_); ++i) {
      hone_tensor_info info = {};
      hone_model_output_info(model_, i, &info, nullptr);
      const GuardedBuffer& output = (*options_.outputs)[static_cast<size_t>(i)];
      fit = info.bytes == output.bytes();
      output.MakePresent();
    }
    if (!fit)
      hone_fail(error, HONE_ERROR_ARGUMENT, "its outputs are not those that were asked for");
    return fit;
  }

  bool RunOnce(int64_t* ns, hone_error* error) {
    const int64_t before = MonotonicNanos();
    if (hone_model_run(model_, error) != HONE_OK) return false;
    *ns = MonotonicNanos() - before;
    options_.watch->Beat();
    return true;
  }

  bool Run(Answer& answer, hone_error* error) {
    int64_t ns = 0;
    if (!RunOnce(&ns, error)) return false;
    answer.run_ns[0] = static_cast<double>(ns);
    for (size_t i = 0; i < options_.outputs->size(); ++i) {
      const GuardedBuffer& output = (*options_.outputs)[i];
      if (hone_model_get_output(model_, static_cast<int>(i), output.data(), output.bytes(),
                                error) != HONE_OK)
        return false;
    }
    return true;
  }

  bool Time(int runs, Answer& answer, hone_error* error) {
    auto* const times = static_cast<int64_t*>(options_.run_ns->data());
    const int64_t room = options_.run_ns->bytes() / int64_t{sizeof(int64_t)};
    int64_t timed = options_.page->timed.load();
    int64_t sum_ns = 0;
    for (int i = 0; i < runs; ++i) {
      int64_t ns = 0;
      if (!RunOnce(&ns, error)) return false;
      sum_ns += ns;
      if (timed < room) times[timed++] = ns;
      NoteSteps();
    }
    options_.page->timed.store(timed);
    answer.run_ns[0] = static_cast<double>(sum_ns) / std::max(runs, 1);
    return true;
  }

  void NoteSteps() {
    if (!options_.run->timing().profile()) return;
    auto* const least = static_cast<int64_t*>(options_.step_ns->data());
    const int count = static_cast<int>(std::min<int64_t>(
        hone_model_step_count(model_), options_.step_ns->bytes() / int64_t{sizeof(int64_t)}));
    for (int i = 0; i < count; ++i) {
      hone_step_info step = {};
      hone_model_step(model_, i, &step, nullptr);
      if (least[i] == 0 || step.last_ns < least[i]) least[i] = step.last_ns;
    }
    options_.page->steps.store(count);
  }

  void Send(const Answer& answer) {
    if (write(orders_fd_, &answer, sizeof(answer)) != sizeof(answer)) _exit(kExitNoMachinery);
  }

  const int orders_fd_;
  const ModelHostOptions& options_;
  hone_model* model_ = nullptr;  // never freed: the process ends
};

}  // namespace

void HostModel(int orders_fd, const ModelHostOptions& options) {
  InstallFaultHandlers(*options.watch);
  options.run_ns->MakePresent();
  ModelHost host(orders_fd, options);
  host.Load();
  if (options.threads > 1) SpreadThreads();
  // What the worker has open is none of a model's business; what was loaded stays mapped.
  syscall(SYS_close_range, static_cast<unsigned>(orders_fd) + 1, ~0u, 0u);
  host.Obey();
}

}  // namespace hone

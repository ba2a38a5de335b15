#include "device_agent/agent_device.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/cpus.h"
#include "device_agent/canary_file.h"
#include "rpc/agent_session.h"
#include "rpc/batch_blobs.h"
#include "rpc/pieces.h"

namespace hone {
namespace {

namespace asio = boost::asio;

// Times that do not count are taken again so often; then they are reported as what they are.
constexpr int kRetriesMax = 1;
constexpr int64_t kCanaryTimerMaxMs = 60 * 1000;
constexpr std::chrono::milliseconds kDeliverAgainAfter(500);

std::string Summary(const pb::BatchResult& result) {
  int right = 0;
  double best_ns = 0;
  for (const pb::Measurement& measurement : result.measurements()) {
    if (measurement.failure() != pb::OK) continue;
    ++right;
    if (best_ns <= 0 || measurement.cost_ns() < best_ns) best_ns = measurement.cost_ns();
  }
  return absl::StrCat(right, " of ", result.measurements_size(), " candidates ran, best ",
                      best_ns / 1e3, " us", result.error().empty() ? "" : "; ", result.error());
}

pb::BatchResult NotQuiet(const pb::Batch& batch, const std::string& why) {
  pb::BatchResult result;
  for (int i = 0; i < (batch.has_model() ? 1 : batch.candidates_size()); ++i) {
    pb::Measurement& measurement = *result.add_measurements();
    measurement.set_failure(pb::NOT_QUIET);
    measurement.set_message(why);
  }
  return result;
}

// Whether the machinery failed, and not a candidate.
bool WorkerFailed(const pb::BatchResult& result) {
  return std::any_of(
      result.measurements().begin(), result.measurements().end(),
      [](const pb::Measurement& measurement) { return measurement.failure() == pb::INFRA; });
}

}  // namespace

StatusOr<std::unique_ptr<AgentDevice>> AgentDevice::Start(asio::io_context& context,
                                                          const Clock& clock, PowerDomain& domain,
                                                          BlobStore& code,
                                                          AgentDeviceOptions options,
                                                          AgentDeviceHandlers handlers) {
  std::unique_ptr<AgentDevice> device(
      new AgentDevice(context, clock, domain, code, std::move(options), std::move(handlers)));
  MeasuringWorkerOptions worker;
  worker.program = device->options_.worker_program;
  worker.cpus = device->options_.cpus;
  worker.sandbox = device->options_.sandbox;
  worker.on_unkillable = [device = device.get(), alive = device->alive_](const std::string& why) {
    if (*alive) device->OnUnkillable(why);
  };
  HONE_ASSIGN_OR_RETURN(device->worker_, MeasuringWorker::Start(context, std::move(worker)));
  return device;
}

AgentDevice::AgentDevice(asio::io_context& context, const Clock& clock, PowerDomain& domain,
                         BlobStore& code, AgentDeviceOptions options, AgentDeviceHandlers handlers)
    : context_(context),
      clock_(clock),
      domain_(domain),
      store_(code),
      options_(std::move(options)),
      handlers_(std::move(handlers)),
      log_(options_.log_format, clock, options_.log),
      health_(HealthLimits::For(IsBench()), options_.canary_path.empty()
                                                ? pb::CanaryHistory()
                                                : LoadCanaryHistory(options_.canary_path)),
      gate_timer_(context),
      canary_timer_(context),
      delivery_timer_(context) {}

AgentDevice::~AgentDevice() {
  *alive_ = false;
  domain_.Release(this);
}

bool AgentDevice::IsBench() const {
  const auto quality = options_.info.facts().find("quality");
  return quality != options_.info.facts().end() && quality->second == "bench";
}

// --- What the tracker says

void AgentDevice::Take(const pb::DeviceOrders& orders) {
  pb::DeviceStatus before, after;
  assignments_.Describe(before);
  if (assignments_.Apply(orders)) {
    log_.Write(Event::kBatchWithdrawn, {{"device", name()}});
    worker_->Cancel();
    gate_timer_.cancel();
    grant_.reset();
    Rest();
  }
  assignments_.Describe(after);
  if (before.SerializeAsString() != after.SerializeAsString()) handlers_.changed();
  DropCode();
  FetchCode();
  if (orders.accepted_unix_ms() > 0 && health_.Accept(orders.accepted_unix_ms())) {
    log_.Write(Event::kDeviceHealth,
               {{"device", name()},
                {"why", "its owner accepts its speed as it is; its canaries are learned anew"}});
    handlers_.changed();
  }
  Go();
}

void AgentDevice::HoldReported(const pb::ReportRequest& report) {
  assignments_.HoldReported(report.attempt_id(), report.batch_id());
}

void AgentDevice::Settle(const std::string& attempt_id) {
  assignments_.Settle(attempt_id);
  handlers_.changed();
}

void AgentDevice::OnLink() {
  health_.WishForCanary();
  GoLater();
}

void AgentDevice::Describe(pb::DeviceStatus& status) const {
  pb::DeviceInfo& info = *status.mutable_info();
  info = options_.info;
  info.set_state(assignments_.running() ? pb::BUSY : pb::READY);
  if (const std::string reason = QuarantineReason(); !reason.empty()) {
    info.set_state(pb::QUARANTINED);
    info.set_reason(reason);
  } else if (gate_ && !gate_->reason().empty()) {
    info.set_reason(absl::StrCat("waits until it is quiet: ", gate_->reason()));
  }
  info.set_last_seen_unix_ms(clock_.UnixMillis());
  *status.mutable_taints() = health_.history().taints();
  assignments_.Describe(status);
}

// --- What is next

void AgentDevice::GoLater() {
  asio::post(context_, [this, alive = alive_] {
    if (*alive) Go();
  });
}

void AgentDevice::Go() {
  if (at_work_) return;
  // The tracker takes back what it gave to a device in quarantine.
  if (!unkillable_.empty()) return;
  const int64_t now_ms = clock_.UnixMillis();
  if (health_.CanaryDue(now_ms)) {
    at_work_ = true;
    domain_.Acquire(this, [this] { RunCanary(); });
    return;
  }
  const int64_t wait_ms =
      std::clamp<int64_t>(health_.NextCanaryUnixMs() - now_ms, 1, kCanaryTimerMaxMs);
  canary_timer_.expires_after(std::chrono::milliseconds(wait_ms));
  canary_timer_.async_wait([this, alive = alive_](const boost::system::error_code& error) {
    if (!error && *alive) Go();
  });
  if (health_.quarantined()) return;
  grant_ = assignments_.StartNext();
  if (!grant_) return;
  at_work_ = true;
  retries_ = 0;
  tainted_result_.reset();
  handlers_.changed();
  if (const Status& fetched = code_[grant_->attempt_id()].status; !fetched.ok()) {
    pb::BatchResult result;
    result.set_error(absl::StrCat("its code could not be fetched: ", fetched.message()));
    return Finish(std::move(result), "");
  }
  // Where no times are wanted, it does not matter who else is at work.
  const bool timed = !grant_->batch().has_model() || grant_->batch().model().has_timing();
  domain_.Acquire(this, [this, timed] { timed ? WaitAtGate() : Measure(); });
}

void AgentDevice::Rest() {
  at_work_ = false;
  gate_.reset();
  GoLater();
  domain_.Release(this);
}

void AgentDevice::OnUnkillable(const std::string& reason) {
  log_.Write(Event::kDeviceHealth, {{"device", name()}, {"why", reason}});
  unkillable_ = reason;
  handlers_.changed();
  GoLater();
}

std::string AgentDevice::QuarantineReason() const {
  if (!unkillable_.empty()) return unkillable_;
  return health_.quarantined() ? health_.Reason() : "";
}

// --- Code

void AgentDevice::FetchCode() {
  for (const pb::Grant& grant : assignments_.StartFetching()) {
    std::vector<std::string> digests = CodeDigests(grant.batch());
    const std::string& id = grant.attempt_id();
    code_[id] = {.pin = store_.Hold(digests)};
    handlers_.fetch(std::move(digests), [this, alive = alive_, id](const Status& status) {
      if (*alive) OnFetched(id, status);
    });
  }
}

void AgentDevice::OnFetched(const std::string& attempt_id, const Status& status) {
  if (!status.ok()) {
    log_.Write(Event::kCodeUnfetched, {{"device", name()}, {"why", status.message()}});
  }
  // Without a tracker, while the tracker has not got it, or while it finds no room beside the code
  // that runs: again when orders come or that is done.
  const bool later = absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
                     absl::IsNotFound(status) ||
                     (absl::IsResourceExhausted(status) && assignments_.running());
  const auto code = code_.find(attempt_id);
  if (code == code_.end()) return;  // withdrawn
  code->second.status = status;
  assignments_.EndFetching(attempt_id, /*there=*/!later);
  Go();
}

void AgentDevice::DropCode() {
  pb::DeviceStatus status;
  assignments_.Describe(status);
  std::erase_if(code_, [&](const auto& entry) {
    return std::none_of(status.held().begin(), status.held().end(),
                        [&](const auto& held) { return held.attempt_id() == entry.first; });
  });
}

// --- Canaries

void AgentDevice::RunCanary() {
  worker_->RunCanary(options_.info.target(),
                     [this](StatusOr<pb::CanaryReading> reading) { OnCanary(std::move(reading)); });
}

void AgentDevice::OnCanary(StatusOr<pb::CanaryReading> reading) {
  const std::string reason_before = health_.Reason();
  if (reading.ok()) {
    reading->set_unix_ms(clock_.UnixMillis());
    health_.Take(*reading);
  } else {
    health_.TakeFailure(reading.status().message(), clock_.UnixMillis());
  }
  if (!health_.verdict().empty()) {
    log_.Write(
        Event::kDeviceHealth,
        {{"device", name()},
         {"why", absl::StrCat(health_.verdict(),
                              ": its canaries are well after a batch took its worker down")}});
  }
  if (!options_.canary_path.empty()) {
    if (const Status status = SaveCanaryHistory(options_.canary_path, health_.history());
        !status.ok()) {
      log_.Write(Event::kSpoolFailed, {{"device", name()}, {"why", status.message()}});
    }
  }
  if (const std::string reason = health_.Reason(); reason != reason_before) {
    log_.Write(Event::kDeviceHealth,
               {{"device", name()},
                {"why", reason.empty() ? "well again and out of quarantine"
                                       : absl::StrCat("in quarantine: ", reason)}});
    handlers_.changed();
  }
  Rest();
}

// --- Batches

void AgentDevice::WaitAtGate() {
  gate_.emplace(options_.gate, IsBench(), clock_.MonotonicNanos());
  AskGate();
}

void AgentDevice::AskGate() {
  const std::string reason_before = gate_->reason();
  const std::vector<int>& cpus = options_.cpus;
  const GateWait::Answer answer = gate_->Ask(
      ReadSensors(options_.sysroot, cpus.empty() ? AllowedCpus() : cpus), clock_.MonotonicNanos());
  if (answer == GateWait::Answer::kOpen) return Measure();
  if (answer == GateWait::Answer::kWait) {
    gate_timer_.expires_after(std::chrono::nanoseconds(options_.gate.poll_ns));
    gate_timer_.async_wait([this, alive = alive_](const boost::system::error_code& error) {
      if (!error && *alive && gate_) AskGate();
    });
    if (reason_before.empty()) handlers_.changed();
    return;
  }
  // What was measured before is better than nothing.
  if (tainted_result_) return Finish(*std::move(tainted_result_), taint_);
  Finish(
      NotQuiet(grant_->batch(), absl::StrCat("not quiet for ", gate_->waited_ns() / 1'000'000'000,
                                             " s: ", gate_->reason())),
      "");
}

void AgentDevice::Postpone() {
  assignments_.Postpone();
  grant_.reset();
  FetchCode();
  Rest();
}

void AgentDevice::Measure() {
  if (grant_->batch().has_model()) return RunModel();
  pb::Batch batch = grant_->batch();
  if (!FillInCode(store_, batch).ok()) return Postpone();
  worker_->Measure(batch, [this](pb::BatchResult result) { OnMeasured(std::move(result)); });
}

void AgentDevice::RunModel() {
  const pb::Batch& batch = grant_->batch();
  std::vector<const pb::Pieces*> all = {&batch.model().package()};
  for (const pb::ModelInput& input : batch.model().inputs()) all.push_back(&input.data());
  std::vector<std::shared_ptr<const std::string>> bytes;
  for (const pb::Pieces* pieces : all) {
    int64_t size = 0;
    for (const std::string& digest : pieces->digests()) {
      auto piece = store_.Get(digest);
      if (!piece.ok()) return Postpone();
      size += static_cast<int64_t>((*piece)->size());
      bytes.push_back(*std::move(piece));
    }
    if (size != pieces->bytes()) {
      pb::BatchResult result;
      result.set_error(absl::StrCat("pieces of ", size, " bytes are to be ", pieces->bytes(),
                                    "; submit it again"));
      return Finish(std::move(result), "");
    }
  }
  worker_->RunModel(batch, bytes, [this](MeasuringWorker::ModelOutcome outcome) {
    OnModelRun(std::move(outcome));
  });
}

void AgentDevice::OnModelRun(MeasuringWorker::ModelOutcome outcome) {
  pb::BatchResult result;
  *result.add_measurements() = std::move(outcome.measurement);
  pb::ModelResult& model = *result.mutable_model();
  model = std::move(outcome.result);
  Blobs blobs;
  if (result.measurements(0).failure() == pb::OK) {
    if (!grant_->batch().model().has_timing()) {
      for (const std::string& output : outcome.outputs)
        *model.add_outputs() = CutIntoPieces(output, &blobs);
    }
    *model.mutable_run_ns() = CutIntoPieces(outcome.run_ns, &blobs);
  }
  Deliver(std::move(result), std::move(blobs));
}

void AgentDevice::Deliver(pb::BatchResult result, Blobs blobs) {
  if (blobs.empty()) return OnMeasured(std::move(result));
  const std::string id = grant_->attempt_id();
  handlers_.upload(blobs, [this, alive = alive_, id, result, blobs](const Status& status) mutable {
    if (!*alive || !grant_ || grant_->attempt_id() != id) return;  // withdrawn
    if (absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status)) {
      delivery_timer_.expires_after(kDeliverAgainAfter);
      delivery_timer_.async_wait([this, alive, id, result, blobs](const auto& error) mutable {
        if (error || !*alive || !grant_ || grant_->attempt_id() != id) return;
        Deliver(std::move(result), std::move(blobs));
      });
      return;
    }
    if (!status.ok()) {
      pb::BatchResult failed;
      failed.set_error(
          absl::StrCat("the tracker does not take what the model gave: ", status.message()));
      return Finish(std::move(failed), "");
    }
    OnMeasured(std::move(result));
  });
}

void AgentDevice::OnMeasured(pb::BatchResult result) {
  if (WorkerFailed(result)) health_.Suspect();
  if (!gate_) return Finish(std::move(result), "");
  const std::vector<int>& cpus = options_.cpus;
  taint_ =
      WhyTainted(gate_->readings(),
                 ReadSensors(options_.sysroot, cpus.empty() ? AllowedCpus() : cpus), options_.gate);
  if (taint_.empty() || retries_ >= kRetriesMax) return Finish(std::move(result), taint_);
  log_.Write(Event::kBatchRepeated,
             {{"device", name()}, {"batch", grant_->batch_id()}, {"why", taint_}});
  ++retries_;
  tainted_result_ = std::move(result);
  WaitAtGate();
}

void AgentDevice::Finish(pb::BatchResult result, const std::string& taint) {
  const std::optional<pb::Grant> grant = assignments_.FinishRunning();
  if (!taint.empty()) {
    for (pb::Measurement& measurement : *result.mutable_measurements()) {
      if (measurement.failure() == pb::OK) measurement.set_taint(taint);
    }
  }
  AddEnvironment(result);
  grant_.reset();
  if (grant) {
    code_.erase(grant->attempt_id());
    log_.Write(Event::kBatchMeasured, {{"device", name()},
                                       {"batch", grant->batch_id()},
                                       {"epoch", static_cast<int64_t>(assignments_.epoch())},
                                       {"candidates", int64_t{result.measurements_size()}},
                                       {"what", Summary(result)}});
    Report(*grant, std::move(result));
  }
  FetchCode();
  Rest();
}

void AgentDevice::Report(const pb::Grant& grant, pb::BatchResult result) {
  result.set_batch_id(grant.batch_id());
  for (pb::Measurement& measurement : *result.mutable_measurements())
    measurement.set_device(name());
  result.mutable_reference()->set_device(name());
  handlers_.report(MakeReport(name(), assignments_.epoch(), grant, std::move(result)));
  handlers_.changed();
}

void AgentDevice::AddEnvironment(pb::BatchResult& result) const {
  auto& environment = *result.mutable_environment();
  for (const char* fact :
       {"agent_version", "quality", "virtual", "kernel", "microcode", "sandbox", "sandbox_walls"}) {
    const auto found = options_.info.facts().find(fact);
    if (found != options_.info.facts().end()) environment[fact] = found->second;
  }
  if (gate_) {
    for (const auto& [name, value] : SensorFacts(gate_->readings())) environment[name] = value;
    environment["gate.waited_ms"] = absl::StrCat(gate_->waited_ns() / 1'000'000);
  }
  environment["gate.retries"] = absl::StrCat(retries_);
}

}  // namespace hone

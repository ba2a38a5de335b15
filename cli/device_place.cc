#include "cli/device_place.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/target.h"
#include "cli/default_paths.h"
#include "cli/interrupt.h"
#include "rpc/device_choice.h"
#include "rpc/farm_client.h"
#include "rpc/pieces.h"
#include "tuner/farm_tuning.h"

namespace hone {
namespace {

constexpr absl::Duration kPoll = absl::Milliseconds(500);
constexpr double kMinutesMax = 10;
constexpr int64_t kRunsMax = 1'000'000;
constexpr int kDevicesMax = 20'000;  // looked at for who runs what
// A tracker that lost what a model gave has it run once more.
constexpr int kRunsOfABatchMax = 2;

// What of a machine the model's code needs.
StatusOr<Target> DemandOf(const CompiledModel& model, int64_t threads) {
  HONE_ASSIGN_OR_RETURN(Target target, Target::Parse(model.TargetText()));
  target.features = absl::StrSplit(model.CpuFeatures(), ',', absl::SkipEmpty());
  std::sort(target.features.begin(), target.features.end());
  // As many as it was tuned for, but no more than there are.
  target.threads = threads > 0 ? static_cast<int>(threads) : 1;
  return target;
}

class Device : public ModelPlace {
 public:
  Device(CompiledModel model, std::string path, PlaceChoice choice,
         std::function<bool()> interrupted, const Console& console)
      : ModelPlace(std::move(model)),
        path_(std::move(path)),
        choice_(std::move(choice)),
        console_(console),
        interrupted_(std::move(interrupted)) {}

  // Before any thread of gRPC is started, which must not be the one that Ctrl-C ends.
  void WatchCtrlC() {
    if (interrupted_ != nullptr) return;
    interrupt_.emplace();
    interrupted_ = [this] { return interrupt_->Requested(); };
  }

  Status Connect() {
    HONE_ASSIGN_OR_RETURN(
        client_, FarmClient::Connect({.tracker = choice_.farm.tracker,
                                      .tls_dir = TlsDirFor(choice_.farm.tracker,
                                                           choice_.farm.tls_dir, std::getenv)}));
    // What no device is, is said before anything is uploaded.
    HONE_ASSIGN_OR_RETURN(const FarmStatus farm, client_->ListDevices());
    const Status chosen = ChooseDevice(farm.devices, choice_.device).status();
    if (!chosen.ok() && !absl::IsUnavailable(chosen)) return chosen;
    if (farm.devices.empty()) return chosen;
    HONE_ASSIGN_OR_RETURN(const std::string package, ReadFile(path_));
    package_ = CutIntoPieces(package, &package_blobs_);
    return absl::OkStatus();
  }

  StatusOr<std::vector<Tensor>> Run(const std::vector<Tensor>& inputs) override {
    Blobs blobs = package_blobs_;
    HONE_ASSIGN_OR_RETURN(const pb::Batch batch, BatchOf(inputs, &blobs));
    HONE_ASSIGN_OR_RETURN(const Outcome outcome, Obtain(batch, blobs));
    const pb::ModelResult& result = outcome.result.model();
    if (result.outputs_size() != model().OutputCount()) {
      return absl::InternalError(absl::StrCat(outcome.device, " gave ", result.outputs_size(),
                                              " outputs of ", model().OutputCount()));
    }
    std::vector<Tensor> outputs;
    for (int i = 0; i < model().OutputCount(); ++i) {
      const TensorType type = model().OutputType(i);
      Tensor& output = outputs.emplace_back(Tensor::Zeros(type.dtype, type.shape));
      HONE_ASSIGN_OR_RETURN(std::string bytes, Join(result.outputs(i), outcome.blobs));
      if (bytes.size() != output.bytes.size()) {
        return absl::InternalError(absl::StrCat(outcome.device, " gave ", bytes.size(),
                                                " bytes of '", model().OutputName(i), "', not ",
                                                output.bytes.size()));
      }
      output.bytes = std::move(bytes);
    }
    return outputs;
  }

  StatusOr<ModelTimes> Time(const std::vector<Tensor>& inputs, const TimingWish& wish) override {
    if (wish.minutes > kMinutesMax || wish.runs > kRunsMax) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "a farm's device runs a model for at most %g minutes and %d times; ask for less with "
          "--minutes or --runs",
          kMinutesMax, kRunsMax));
    }
    Blobs blobs = package_blobs_;
    HONE_ASSIGN_OR_RETURN(pb::Batch batch, BatchOf(inputs, &blobs));
    pb::ModelTiming& timing = *batch.mutable_model()->mutable_timing();
    timing.set_runs(wish.runs);
    timing.set_budget_ms(static_cast<int64_t>(wish.minutes * 60e3));
    timing.set_profile(wish.profile);
    HONE_ASSIGN_OR_RETURN(const Outcome outcome, Obtain(batch, blobs));
    const pb::ModelResult& result = outcome.result.model();
    HONE_ASSIGN_OR_RETURN(const std::string bytes, Join(result.run_ns(), outcome.blobs));
    ModelTimes times;
    times.run_ns.resize(bytes.size() / sizeof(int64_t));
    std::memcpy(times.run_ns.data(), bytes.data(), times.run_ns.size() * sizeof(int64_t));
    times.step_ns.assign(result.step_ns().begin(), result.step_ns().end());
    times.threads = result.threads();
    if (times.run_ns.empty() || (wish.profile && times.step_ns.size() != model().Steps().size())) {
      return absl::InternalError(absl::StrCat(outcome.device, " gave times of another model"));
    }
    times.where = WhereOf(outcome);
    const pb::Measurement& measurement = outcome.result.measurements(0);
    if (measurement.not_quiet()) {
      times.warnings.push_back(
          absl::StrCat("measured beside other work: ", measurement.disturbance()));
    }
    if (!measurement.taint().empty()) {
      times.warnings.push_back(absl::StrCat("the times do not count: ", measurement.taint()));
    }
    return times;
  }

 private:
  struct Outcome {
    pb::BatchResult result;  // of a model that ran
    std::string device;
    Blobs blobs;  // that it names
  };

  StatusOr<pb::Batch> BatchOf(const std::vector<Tensor>& inputs, Blobs* blobs) {
    pb::Batch batch;
    HONE_ASSIGN_OR_RETURN(const Target demand, DemandOf(model(), choice_.threads));
    batch.set_target(demand.ToString());
    batch.set_selector(choice_.device);
    batch.set_timeout_ms(static_cast<int64_t>(choice_.timeout_s * 1e3));
    const char* const user = std::getenv("USER");
    batch.set_client(ClientName(user == nullptr ? "" : user));
    batch.set_tool_version(HONE_VERSION);
    pb::ModelRun& run = *batch.mutable_model();
    run.set_name(model().Name());
    *run.mutable_package() = package_;
    run.set_threads(
        std::max(1, choice_.threads > 0 ? static_cast<int>(choice_.threads) : model().Threads()));
    for (const Tensor& tensor : inputs) {
      pb::ModelInput& input = *run.add_inputs();
      input.mutable_shape()->Assign(tensor.shape.begin(), tensor.shape.end());
      *input.mutable_data() = CutIntoPieces(tensor.bytes, blobs);
    }
    for (int i = 0; i < model().OutputCount(); ++i) {
      const TensorType type = model().OutputType(i);
      run.add_output_bytes(ElementCount(type.shape) * DTypeBytes(type.dtype));
    }
    return batch;
  }

  // Has the batch run, and fetches what it gave.
  StatusOr<Outcome> Obtain(const pb::Batch& batch, const Blobs& blobs) {
    for (int attempt = 1;; ++attempt) {
      HONE_ASSIGN_OR_RETURN(const std::string id, client_->Submit(batch, blobs));
      HONE_ASSIGN_OR_RETURN(Outcome outcome, Await(id));
      const auto fetched = client_->Download(ResultDigests(outcome.result));
      if (fetched.ok()) {
        outcome.blobs = *fetched;
        return outcome;
      }
      if (!absl::IsNotFound(fetched.status()) || attempt == kRunsOfABatchMax) {
        return fetched.status();
      }
      console_.err << "the tracker has lost what the model gave; it is run again" << std::endl;
    }
  }

  StatusOr<Outcome> Await(const std::string& id) {
    const absl::Time give_up = absl::Now() + absl::Seconds(choice_.wait_s);
    while (true) {
      HONE_ASSIGN_OR_RETURN(const std::vector<pb::BatchResult> results,
                            client_->WaitForResults(kPoll));
      for (const pb::BatchResult& result : results) {
        if (result.batch_id() == id) return Judge(result);
      }
      if (interrupted_()) {
        client_->Cancel({id}).IgnoreError();
        return absl::CancelledError("interrupted; the run is cancelled");
      }
      pb::WhyRequest request;
      request.add_batch_ids(id);
      const StatusOr<pb::WhyReply> why = client_->Why(request);
      if (!why.ok() || why->entries().empty()) continue;  // the next wait says what is wrong
      const pb::WhyEntry& entry = why->entries(0);
      if (absl::Now() >= give_up && !Runs(entry)) {
        client_->Cancel({id}).IgnoreError();
        return absl::UnavailableError(
            absl::StrFormat("no device was free within %g s: %s; wait longer with --wait, or "
                            "choose another --device",
                            choice_.wait_s, entry.why()));
      }
      Show(entry);
    }
  }

  // Whether it is at work already, and not only next on some device. One that is about to end
  // counts.
  bool Runs(const pb::WhyEntry& entry) {
    if (entry.state() == pb::WAITING) return false;
    pb::SnapshotRequest request;
    request.set_devices_max(kDevicesMax);
    const StatusOr<pb::FarmSnapshot> farm = client_->Snapshot(request);
    if (!farm.ok()) return true;  // the next wait says what is wrong
    for (const pb::DeviceEntry& device : farm->devices()) {
      for (int i = 1; i < device.attempts_size(); ++i) {
        if (device.attempts(i).batch_id() == entry.batch_id()) return false;
      }
    }
    return true;
  }

  void Show(const pb::WhyEntry& entry) {
    std::string line;
    if (entry.state() == pb::WAITING) line = absl::StrCat("waits: ", entry.why());
    if (entry.state() == pb::GRANTED) line = entry.why();
    if (line.empty() || line == shown_) return;
    shown_ = line;
    console_.err << line << std::endl;
  }

  StatusOr<Outcome> Judge(const pb::BatchResult& result) const {
    if (!result.error().empty()) {
      return absl::UnavailableError(
          absl::StrCat(Name(), " could not be run: ", result.error(), " (see hone devices)"));
    }
    if (result.measurements_size() != 1) {
      return absl::InternalError("a result that is not a model's");
    }
    const pb::Measurement& measurement = result.measurements(0);
    const std::string& device = measurement.device();
    if (measurement.failure() == pb::OK) return Outcome{result, device, {}};
    const std::string& why = measurement.message();
    switch (measurement.failure()) {
      case pb::COMPILE_ERROR: {
        hone_error error = {};
        error.code = static_cast<hone_error_code>(result.model().error_code());
        const Status status = StatusOf(error);
        return Status(status.ok() ? absl::StatusCode::kInternal : status.code(),
                      absl::StrCat(Name(), " on ", device, ": ", why));
      }
      case pb::TIMEOUT:
        return absl::DeadlineExceededError(absl::StrCat(
            Name(), " was stopped on ", device, ": ", why, "; allow more with --timeout SECONDS"));
      case pb::OUT_OF_MEMORY:
        return absl::ResourceExhaustedError(
            absl::StrCat(Name(), " on ", device, ": ", why, "; choose a device with more memory"));
      case pb::NOT_QUIET:
        return absl::UnavailableError(absl::StrCat(device, " did not come to rest: ", why,
                                                   "; try again later, or another --device"));
      case pb::CRASH:
        return absl::InternalError(absl::StrCat(Name(), " crashed on ", device, ": ", why,
                                                "; compile it again with this version of hone"));
      case pb::FORBIDDEN:
        return absl::InternalError(absl::StrCat(Name(), " was stopped on ", device, ": it ", why));
      case pb::FORGED:
        return absl::InternalError(absl::StrCat(Name(), " on ", device, ": ", why));
      default:
        return absl::UnavailableError(
            absl::StrCat(device, " could not run ", Name(), ": ", why, "; try again"));
    }
  }

  static std::string WhereOf(const Outcome& outcome) {
    const auto& environment = outcome.result.environment();
    std::vector<std::string> facts;
    const auto add = [&](const char* key, absl::string_view before, absl::string_view after) {
      const auto found = environment.find(key);
      if (found != environment.end()) facts.push_back(absl::StrCat(before, found->second, after));
    };
    add("quality", "", "");
    add("gate.governor", "governor ", "");
    add("gate.celsius", "", " C");
    return absl::StrCat("on ", outcome.device, facts.empty() ? "" : ": ",
                        absl::StrJoin(facts, ", "));
  }

  static StatusOr<std::string> Join(const pb::Pieces& pieces, const Blobs& blobs) {
    return JoinPieces(
        pieces, [&](const std::string& digest) -> StatusOr<std::shared_ptr<const std::string>> {
          const auto found = blobs.find(digest);
          if (found == blobs.end()) return absl::NotFoundError("a blob that did not come");
          return found->second;
        });
  }

  std::string Name() const { return std::filesystem::path(path_).filename().string(); }

  const std::string path_;
  const PlaceChoice choice_;
  const Console& console_;
  std::optional<Interrupt> interrupt_;
  std::function<bool()> interrupted_;
  pb::Pieces package_;
  Blobs package_blobs_;
  std::string shown_;  // the last line of progress
  std::unique_ptr<FarmClient> client_;
};

}  // namespace

StatusOr<std::unique_ptr<ModelPlace>> OpenModelForDevice(const std::string& path,
                                                         const PlaceChoice& choice,
                                                         std::function<bool()> interrupted,
                                                         const Console& console) {
  if (choice.farm.tracker.empty()) {
    return absl::InvalidArgumentError(
        "--device names a device of a farm; which farm? give --tracker ADDRESS or set "
        "HONE_TRACKER, or leave out --device to use this machine");
  }
  HONE_ASSIGN_OR_RETURN(CompiledModel model, CompiledModel::Load(path, {.describe = true}));
  auto device =
      std::make_unique<Device>(std::move(model), path, choice, std::move(interrupted), console);
  device->WatchCtrlC();
  HONE_RETURN_IF_ERROR(device->Connect());
  return device;
}

}  // namespace hone

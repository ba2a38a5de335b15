// Tuning on a farm: a TuningSession with devices behind a tracker, and compilers there too if the
// farm has builders, else on this machine.
// `hone tune` and the tuning daemon both tune with it, so that there is one way. Chooses neither
// what is tuned nor for which device.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "compiler/graph/model_plan.h"
#include "db/record_store.h"
#include "rpc/farm_client.h"
#include "tuner/measure/patient_measurer.h"
#include "tuner/tuning_session.h"
#include "tuner/tuning_state.h"
#include "tuner/tuning_task.h"

namespace hone {

struct FarmTuning {
  std::string build_worker;    // path of hone-build-worker
  bool measures_here = false;  // this machine is the device: compilers make way for it
  int64_t threads = 1;         // that a kernel uses
  // Where nobody watches; null: what the farm has no room for ends the tuning.
  PatientMeasurer::WaitForRoom wait_for_room;
};

// "user@host:pid" of this process, kept with every record; `user` as in pb::Batch.
std::string ClientName(const std::string& user);

// Tunes until trials, time or gains end, or `cancelled` says true; both functions as
// TuningSession::Run has them. `history` may be null: nothing is known. Returns where it ended.
StatusOr<TuningState> TuneOnFarm(const FarmTuning& farm, FarmClient& client,
                                 std::vector<TuningTask> tasks, const TuningOptions& options,
                                 const RecordStore* history, const Clock& clock,
                                 const std::function<bool()>& cancelled,
                                 const std::function<void(const TuningState&)>& observe);

// That the whole model reads in one run, also where only some of its kernels are tuned.
int64_t ModelConstantBytes(const ModelPlan& plan);

}  // namespace hone

#include "tuner/farm_tuning.h"

#include <unistd.h>

#include <algorithm>
#include <memory>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "compiler/compile.h"
#include "rpc/build_client.h"
#include "rpc/build_pool.h"
#include "tuner/cost_model/xgboost_cost_model.h"
#include "tuner/measure/farm_measurer.h"
#include "tuner/measure/pausing_measurer.h"

namespace hone {
namespace {

// Compilers: where this machine measures too, those beside it have the cores that are left, and the
// others run while nothing is measured. More than a few would slow down what is measured beside
// them, through the caches and the memory that all share.
BuildPool::Options BuildersFor(const FarmTuning& farm) {
  constexpr int64_t kBesideMost = 4;
  const auto cores = std::max<int64_t>(1, std::thread::hardware_concurrency());
  BuildPool::Options pool;
  pool.program = farm.build_worker;
  if (!farm.measures_here) {
    pool.workers = pool.workers_beside = static_cast<int>(std::min(cores, kBesideMost));
    return pool;
  }
  pool.workers = static_cast<int>(std::min(cores, 2 * kBesideMost));
  pool.workers_beside = static_cast<int>(std::clamp<int64_t>(cores - farm.threads, 0, kBesideMost));
  return pool;
}

// The farm's builders; null if it has none that make the same code, or this machine is the farm.
StatusOr<std::unique_ptr<BuildClient>> BuildersOf(const FarmTuning& farm, const FarmClient& client,
                                                  const TuningOptions& options, BuildPool& pool) {
  if (farm.measures_here) return std::unique_ptr<BuildClient>();
  BuildClientOptions builders;
  builders.tracker = client.options().tracker;
  builders.tls_dir = client.options().tls_dir;
  builders.user = options.client.substr(0, options.client.find('@'));
  builders.version.set_tool_version(options.tool_version);
  builders.version.set_codegen_epoch(kCodegenEpoch);
  HONE_ASSIGN_OR_RETURN(
      std::unique_ptr<BuildClient> builds,
      BuildClient::Connect(builders, [&pool](pb::BuildRequest request, BuildClient::Done done) {
        pool.Submit(std::move(request), std::move(done));
      }));
  const StatusOr<int> capacity = builds->Capacity();
  // A tracker of before there were builders has none.
  if (!capacity.ok() || *capacity == 0) builds.reset();
  return builds;
}

}  // namespace

std::string ClientName(const std::string& user) {
  char host[256] = "";
  gethostname(host, sizeof(host) - 1);
  return absl::StrCat(user.empty() ? "somebody" : user, "@", host, ":", getpid());
}

StatusOr<TuningState> TuneOnFarm(const FarmTuning& farm, FarmClient& client,
                                 std::vector<TuningTask> tasks, const TuningOptions& options,
                                 const RecordStore* history, const Clock& clock,
                                 const std::function<bool()>& cancelled,
                                 const std::function<void(const TuningState&)>& observe) {
  HONE_ASSIGN_OR_RETURN(const std::unique_ptr<BuildPool> pool, BuildPool::Start(BuildersFor(farm)));
  HONE_ASSIGN_OR_RETURN(const std::unique_ptr<BuildClient> builders,
                        BuildersOf(farm, client, options, *pool));
  const std::unique_ptr<CostModel> model = MakeXgboostCostModel();
  FarmMeasurer device(client);
  PatientMeasurer patient(device, [&farm](const Status& why) {
    return farm.wait_for_room != nullptr && farm.wait_for_room(why);
  });
  PausingMeasurer measurer(patient, *pool);
  TuningOptions tuning = options;
  tuning.spare_core = !farm.measures_here || farm.threads < std::thread::hardware_concurrency();
  TuningSession session(
      std::move(tasks), tuning, *model,
      [&](pb::BuildRequest request, std::function<void(pb::BuildReply)> done) {
        if (builders != nullptr) {
          builders->Submit(std::move(request), std::move(done));
        } else {
          pool->Submit(std::move(request), std::move(done));
        }
      },
      measurer, history, clock);
  HONE_RETURN_IF_ERROR(session.Run(cancelled, observe));
  return session.state();
}

int64_t ModelConstantBytes(const ModelPlan& plan) {
  int64_t bytes = 0;
  for (const TuningTask& task : TasksOf(plan)) bytes += task.calls * ConstantBytes(task.workload);
  return bytes;
}

}  // namespace hone

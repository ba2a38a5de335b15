#include "tests/fuzz/fuzz_rounds.h"

#include <algorithm>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "compiler/schedule/open_blocks.h"
#include "tests/codegen/kernel_runner.h"
#include "tests/fuzz/random_workload.h"
#include "tests/lower/random_schedule.h"
#include "tests/support/sketch_draws.h"
#include "tuner/space/derive.h"

namespace hone {
namespace {

constexpr int64_t kPointsMax = 100'000;
constexpr int64_t kInterpretedPointsMax = 6'000;
constexpr int kRandomSchedules = 3;
constexpr int kDrawnSketches = 5;

// Whether this process can run code for the target.
struct FuzzTarget {
  Target target;
  bool runs_here = true;
};

// Everything that code is made for; what this processor lacks is interpreted.
FuzzTarget DrawTarget(std::mt19937_64& random) {
  const std::string rest =
      absl::StrCat(" l1=32768 l2=524288 l3=0 cores=2 threads=", 1 + random() % 2);
  auto target = [&](absl::string_view cpu, absl::string_view features) {
    return *Target::Parse(absl::StrCat("target/1 x86_64 cpu=", cpu, " features=", features, rest));
  };
  const auto perhaps_here = [](const Target& target) {
    return FuzzTarget{target, RunsHere(target)};
  };
  switch (random() % 8) {
    case 0:
    case 1:
      return {target("x86-64", "sse2")};
    case 2:
      return {target("x86-64", "avx")};
    case 3:
      return perhaps_here(
          target("x86-64-v4",
                 "avx,avx2,avx512bw,avx512dq,avx512f,avx512vl,bmi,bmi2,f16c,fma,sse4.1,sse4.2"));
    case 4:
      return perhaps_here(
          target("sapphirerapids",
                 "amx-bf16,amx-int8,amx-tile,avx,avx2,avx512bf16,avx512bw,avx512dq,avx512f,"
                 "avx512vl,avx512vnni,bmi,bmi2,f16c,fma,sse4.1,sse4.2"));
    default:
      return {target("x86-64-v3", "avx,avx2,bmi,bmi2,f16c,fma,sse4.1,sse4.2")};
  }
}

std::vector<Layout> DrawLayouts(const Workload& workload, std::mt19937_64& random) {
  const bool blocked = random() % 2 == 0;
  const int64_t block = int64_t{4} << (random() % 3);
  std::vector<Layout> layouts;
  for (const Buffer& buffer : workload.buffers) {
    const int rank = static_cast<int>(buffer.shape.size());
    const bool images = rank >= 3 && buffer.role != BufferRole::kConstant;
    layouts.push_back(blocked && images && random() % 8 ? Layout::Blocked(rank, 1, block)
                                                        : Layout::Identity(rank));
  }
  return layouts;
}

ParamMap DrawParams(const Workload& workload, std::mt19937_64& random) {
  ParamMap params;
  for (const Param& param : workload.params) {
    const int64_t any =
        param.min +
        static_cast<int64_t>(random() % static_cast<uint64_t>(param.max - param.min + 1));
    params[param.name] = random() % 4 == 0 ? param.max : random() % 8 == 0 ? param.min : any;
  }
  return params;
}

// Whether no real becomes an integer, which is undefined of infinities and NaN.
bool StaysReal(const Workload& workload) {
  bool stays = true;
  for (const Stage& stage : workload.stages) {
    Visit(stage.body, [&](const Expr& e) {
      stays &=
          e.kind() != ExprKind::kCast || IsFloat(e.type().dtype) || !IsFloat(e.arg(0).type().dtype);
    });
  }
  return stays;
}

std::vector<Schedule> DrawSchedules(const Workload& workload, const Target& target,
                                    std::mt19937_64& random) {
  std::vector<Schedule> schedules;
  for (int i = 0; i < kRandomSchedules; ++i) schedules.push_back(RandomSchedule(workload, random));
  const Numerics numerics = static_cast<Numerics>(random() % 5);
  auto sketches = DeriveSketches(workload, DrawLayouts(workload, random), target, numerics);
  if (!sketches.ok()) sketches = DeriveSketches(workload, DrawLayouts(workload, random), target);
  if (!sketches.ok()) return schedules;
  std::shuffle(sketches->begin(), sketches->end(), random);
  for (size_t s = 0; s < sketches->size() && s < kDrawnSketches; ++s) {
    for (int draw = 0; draw < 50; ++draw) {
      const std::optional<Assignment> assignment = DrawAssignment((*sketches)[s], random);
      if (!assignment) continue;
      auto schedule = (*sketches)[s].Instantiate(*assignment);
      if (!schedule.ok()) break;
      const StatusOr<LoopNest> nest = ApplySchedule(*schedule, workload);
      std::optional<OpenSchedule> open;
      if (nest.ok() && random() % 2) open = LeaveBlocksOpen(*schedule, *nest);
      schedules.push_back(open ? std::move(open->schedule) : *std::move(schedule));
      break;
    }
  }
  return schedules;
}

}  // namespace

RoundResult RunRound(uint64_t seed, const std::function<void(const FuzzCase&)>& before,
                     const std::function<void(const FuzzCase&, const std::string&)>& wrong) {
  std::mt19937_64 random(seed);
  RoundResult result;
  const FuzzTarget target = DrawTarget(random);
  FuzzCase fuzz_case;
  fuzz_case.target = target.target;
  fuzz_case.workload =
      RandomWorkload(random, target.runs_here ? kPointsMax : kInterpretedPointsMax);
  fuzz_case.params = DrawParams(fuzz_case.workload, random);
  fuzz_case.seed = random();
  if (random() % 6 == 0 && StaysReal(fuzz_case.workload)) {
    fuzz_case.inputs = InputKind::kSpecial;
  }
  const bool is_small = PointCount(fuzz_case.workload) <= kInterpretedPointsMax;
  before(fuzz_case);
  std::mt19937_64 inputs(fuzz_case.seed);
  auto values = DrawKernelCase(fuzz_case.workload, fuzz_case.params, fuzz_case.inputs, inputs);
  if (!values.ok()) {
    wrong(fuzz_case, values.status().ToString());
    ++result.wrong;
    return result;
  }
  const ParamMap sizes = fuzz_case.params;  // the workload's
  for (Schedule& schedule : DrawSchedules(fuzz_case.workload, fuzz_case.target, random)) {
    fuzz_case.schedule = std::move(schedule);
    fuzz_case.params = sizes;
    DrawOpenSizes(fuzz_case.schedule, random, &fuzz_case.params);
    values->params = fuzz_case.params;
    std::vector<RunBy> ways;
    if (target.runs_here) ways.push_back(RunBy::kMachine);
    if (!target.runs_here || (is_small && random() % 4 == 0)) ways.push_back(RunBy::kInterpreter);
    for (const RunBy way : ways) {
      fuzz_case.run_by = way;
      before(fuzz_case);
      const Verdict verdict = CheckWith(fuzz_case, *values);
      result.agreed += verdict.kind == Verdict::kAgrees;
      result.refused += verdict.kind == Verdict::kRefused;
      if (verdict.kind != Verdict::kWrong) continue;
      ++result.wrong;
      wrong(fuzz_case, verdict.message);
    }
  }
  return result;
}

}  // namespace hone

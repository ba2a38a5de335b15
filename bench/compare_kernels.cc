// Kernels that hone finds, held against those of other libraries: every problem of kernels/*.txt is
// tuned (records are kept in build/bench/kernels.db, so a second run goes on where the first
// ended), then ours and the peers' are timed in turns, in several rounds; best is held against
// best.
//
//   compare_kernels [--numerics C] [--threads N] [--trials N] [--minutes M] [--seed N] [--db FILE]
//                [--only tune|compare] [LIST ...]
//
// LIST: names of files in kernels/ without the extension; when none is given, all of the class but
// those of search_bench. Says the ratio of times (peer / hone), its geometric mean and the worst
// problem; and how far our own kernel, timed twice, is from itself: the noise.
#include <dirent.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/numerics.h"
#include "bench/aim.h"
#include "bench/kernel_problem.h"
#include "bench/our_kernel.h"
#include "bench/peer_library.h"
#include "bench/ratios.h"
#include "bench/turns.h"
#include "compiler/compile.h"
#include "compiler/operators/reference.h"
#include "db/sqlite_record_store.h"
#include "rpc/build_pool.h"
#include "rpc/farm_client.h"
#include "runtime/thread_pool.h"
#include "tuner/cost_model/xgboost_cost_model.h"
#include "tuner/measure/farm_measurer.h"
#include "tuner/measure/local_farm.h"
#include "tuner/measure/pausing_measurer.h"
#include "tuner/tuning_session.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

// Rounds over all problems, in each of which every contestant gets memory anew. What part of it
// meets in the second cache is decided where the system, or the one below it, finds pages, and what
// others do on the machine lasts for seconds: either can make a third of a kernel's time.
constexpr int kRounds = 5;
// Visits with the matrix unit at full speed, over all rounds, below which it counts as held back.
constexpr int kFullSpeedVisits = 4;
constexpr absl::Duration kSpinning = absl::Milliseconds(30);
constexpr char kPeerOfAims[] = "oneDNN 2";
constexpr char kNewerPeer[] = "oneDNN 3";
// Our contestants.
constexpr char kHone[] = "hone";
constexpr char kHoneAgain[] = "hone again";
constexpr char kHoneOnOne[] = "hone, 1 thread";

struct Options {
  Numerics numerics = Numerics::kFp32;
  int threads = 1;
  int trials = 64;
  double minutes = 12;
  int seed = 1;
  std::string database;  // "": build/bench/kernels.db
  std::string only;      // "tune" or "compare"
  std::vector<std::string> lists;
};

// What is known of one problem, over all rounds.
struct Standing {
  Status trouble;  // why it is left out
  std::string schedule;
  pb::Artifact ours;
  std::optional<pb::Artifact> single;  // ours for one thread, where there are several
  Turns turns;
  std::map<std::string, double> best_ns;  // by contestant
};

// Whether schedules are shown, and why each search ended.
bool IsVerbose() { return std::getenv("SCHEDULES") != nullptr; }

class Bench {
 public:
  Bench(Options options, std::string top, const Clock& clock)
      : options_(std::move(options)),
        top_(std::move(top)),
        database_(options_.database.empty() ? top_ + "/build/bench/kernels.db" : options_.database),
        clock_(clock) {}

  Status Run() {
    LoadPeers();
    HONE_RETURN_IF_ERROR(ReadLists());
    // A kernel for two threads is held against one for one thread, which is tuned too.
    if (options_.threads > 1) HONE_RETURN_IF_ERROR(Tune(1));
    HONE_RETURN_IF_ERROR(Tune(options_.threads));
    return options_.only == "tune" ? absl::OkStatus() : Compare();
  }

 private:
  void LoadPeers() {
    for (const char* name : {"onednn2_peer", "onednn3_peer", "openblas_peer", "onnxruntime_peer"}) {
      const std::string path = absl::StrCat(top_, "/build/release/bench/peers/", name, ".so");
      if (!fs::exists(path)) continue;
      StatusOr<PeerLibrary> peer = PeerLibrary::Load(path);
      if (peer.ok()) {
        peers_.push_back(*peer);
      } else {
        std::printf("%s left out: %s\n", name, std::string(peer.status().message()).c_str());
      }
    }
  }

  Status ReadLists() {
    std::vector<std::string> lists = options_.lists;
    if (lists.empty()) {
      for (const auto& entry : fs::directory_iterator(top_ + "/bench/kernels")) {
        const std::string name = entry.path().stem().string();
        const bool of_class =
            absl::StartsWith(name, "int8") == (options_.numerics == Numerics::kInt8) &&
            absl::StartsWith(name, "bf16") == (options_.numerics == Numerics::kBf16);
        if (entry.path().extension() == ".txt" && !absl::StartsWith(name, "search") && of_class) {
          lists.push_back(name);
        }
      }
      std::sort(lists.begin(), lists.end());
    }
    for (const std::string& list : lists) {
      HONE_ASSIGN_OR_RETURN(const std::vector<KernelProblem> problems,
                            ReadProblems(absl::StrCat(top_, "/bench/kernels/", list, ".txt")));
      for (const KernelProblem& problem : problems) problems_.push_back(problem);
    }
    return absl::OkStatus();
  }

  Status Tune(int threads) {
    LocalFarmOptions local;
    local.database = database_;
    local.purpose = "compare_kernels";
    local.bin_dir = top_ + "/build/release/bin";
    local.agent_args = {"--threads", absl::StrCat(threads)};
    HONE_ASSIGN_OR_RETURN(const std::unique_ptr<LocalFarm> farm, LocalFarm::Start(local));
    HONE_ASSIGN_OR_RETURN(const std::unique_ptr<FarmClient> client,
                          FarmClient::Connect({.tracker = farm->tracker()}));
    HONE_ASSIGN_OR_RETURN(const FarmStatus status, client->ListDevices());
    if (status.devices.empty()) return absl::UnavailableError("no device came up");
    HONE_ASSIGN_OR_RETURN(const Target target, Target::Parse(status.devices[0].target()));
    HONE_RETURN_IF_ERROR(CheckNumerics(options_.numerics, target));
    targets_[threads] = target;
    std::vector<TuningTask> tasks;
    for (const KernelProblem& problem : problems_) {
      TuningTask task{
          .name = problem.name, .workload = WorkloadOf(problem), .calls = problem.count};
      task.layouts = LayoutsOf(problem, task.workload, target);
      tasks.push_back(std::move(task));
    }
    HONE_ASSIGN_OR_RETURN(const std::unique_ptr<SqliteRecordStore> history,
                          SqliteRecordStore::Open({.path = database_}));
    const auto cores = static_cast<int>(std::thread::hardware_concurrency());
    HONE_ASSIGN_OR_RETURN(
        const std::unique_ptr<BuildPool> pool,
        BuildPool::Start({.program = top_ + "/build/release/bin/hone-build-worker",
                          .workers = cores,
                          .workers_beside = std::clamp(cores - threads, 0, 4)}));
    const std::unique_ptr<CostModel> model = MakeXgboostCostModel();
    FarmMeasurer device(*client);
    PausingMeasurer measurer(device, *pool);
    TuningOptions tuning;
    tuning.target = target;
    tuning.speed = status.devices[0].speed();
    tuning.numerics = options_.numerics;
    tuning.trials_max = options_.only == "compare" ? 0 : options_.trials;
    tuning.seed = static_cast<uint64_t>(options_.seed);
    tuning.time_max_ms = static_cast<int64_t>(options_.minutes * 60000);
    tuning.spare_core = threads < cores;
    tuning.client = "compare_kernels";
    tuning.tool_version = "bench";
    TuningSession session(
        std::move(tasks), tuning, *model,
        [&](pb::BuildRequest request, std::function<void(pb::BuildReply)> done) {
          pool->Submit(std::move(request), std::move(done));
        },
        measurer, history.get(), clock_);
    int64_t shown = 0;
    HONE_RETURN_IF_ERROR(session.Run([] { return false; },
                                     [&](const TuningState& state) {
                                       if (state.trials < shown + 200 && !state.finished) return;
                                       shown = state.trials;
                                       std::printf("tuning, %d thread%s: %lld trials in %.0f s\n",
                                                   threads, threads == 1 ? "" : "s",
                                                   static_cast<long long>(state.trials),
                                                   state.elapsed_s);
                                       std::fflush(stdout);
                                     }));
    double all_ns = 0;
    for (const WorkloadState& state : session.state().workloads) {
      all_ns += state.best_ns * state.calls;
      if (state.best_ns == 0) {
        std::printf("%s was not tuned: %s\n", state.name.c_str(), state.reason.c_str());
      } else if (IsVerbose()) {
        std::printf("%-44s %4zu trials, %s\n", state.name.c_str(), state.trials.size(),
                    state.reason.c_str());
      }
    }
    const TuningState& state = session.state();
    std::printf(
        "tuned: %lld trials in %.1f s, %.1f trials/s, %.2f compilations each; all kernels, as "
        "often as called, take "
        "%.3f ms\n",
        static_cast<long long>(state.trials), state.elapsed_s,
        static_cast<double>(state.trials) / std::max(state.elapsed_s, 1e-3),
        static_cast<double>(state.builds) / std::max<double>(1, state.trials), all_ns / 1e6);
    return absl::OkStatus();
  }

  // The best record's kernel; NotFound when there is none.
  StatusOr<pb::Artifact> BestKernel(const KernelProblem& problem, int threads,
                                    std::string* schedule) {
    const Target& target = targets_[threads];
    const Workload workload = WorkloadOf(problem);
    const std::vector<Layout> layouts = LayoutsOf(problem, workload, target);
    HONE_ASSIGN_OR_RETURN(const std::unique_ptr<SqliteRecordStore> store,
                          SqliteRecordStore::Open({.path = database_}));
    HONE_ASSIGN_OR_RETURN(const std::optional<pb::Record> record,
                          store->Best({workload.Key(), target.ToString(),
                                       std::string(NumericsName(options_.numerics)), kCodegenEpoch},
                                      BoundaryLayoutText(workload, layouts)));
    if (!record) return absl::NotFoundError("nothing was measured");
    *schedule = record->schedule();
    HONE_ASSIGN_OR_RETURN(const Schedule parsed, Schedule::Parse(record->schedule(), "record"));
    return Compile(workload, parsed, target);
  }

  Standing FindKernels(const KernelProblem& problem) {
    Standing standing;
    StatusOr<pb::Artifact> ours = BestKernel(problem, options_.threads, &standing.schedule);
    standing.trouble = ours.status();
    if (!ours.ok()) return standing;
    standing.ours = *std::move(ours);
    if (options_.threads > 1) {
      std::string other;
      StatusOr<pb::Artifact> single = BestKernel(problem, 1, &other);
      if (single.ok()) standing.single = *std::move(single);
    }
    return standing;
  }

  // One round of one problem.
  Status TimeOnce(const KernelProblem& problem, const hone_host& one, const hone_host& many,
                  Standing* standing) {
    HONE_ASSIGN_OR_RETURN(const std::unique_ptr<OurKernel> ours,
                          OurKernel::Make(standing->ours, many));
    std::vector<Contestant> contestants = {{kHone, [&] { ours->Run(); }},
                                           {kHoneAgain, [&] { ours->Run(); }}};
    std::unique_ptr<OurKernel> single;
    if (standing->single) {
      HONE_ASSIGN_OR_RETURN(single, OurKernel::Make(*standing->single, one));
      contestants.push_back({kHoneOnOne, [&] { single->Run(); }});
    }
    std::vector<PeerLibrary::Run> runs;
    for (const PeerLibrary& peer : peers_) {
      const std::vector<std::string> algorithms = peer.Algorithms();
      for (int a = 0; a < static_cast<int>(algorithms.size()); ++a) {
        if (options_.numerics == Numerics::kStrict && algorithms[a] == "winograd") continue;
        runs.push_back(peer.Make(problem.numbers, a, options_.threads));
        hone_peer_run* run = runs.back().get();
        if (run == nullptr) continue;
        contestants.push_back({peer.name(), [&peer, run] { peer.Execute(run); }});
      }
    }
    TurnOptions options;
    if (options_.threads > 1) options.pause = kSpinning;
    options.tiles = ours->uses_tiles();
    const Turns turns = TimeInTurns(contestants, options, clock_);
    standing->turns.peak_gflops = std::max(standing->turns.peak_gflops, turns.peak_gflops);
    standing->turns.at_full_speed += turns.at_full_speed;
    for (const Contestant& contestant : contestants) {
      const auto [best, _] = standing->best_ns.emplace(contestant.name, contestant.best_ns);
      best->second = std::min(best->second, contestant.best_ns);
    }
    return absl::OkStatus();
  }

  Status Compare() {
    hone_error error;
    const std::unique_ptr<hone_pool, void (*)(hone_pool*)> one(hone_pool_create(1, &error),
                                                               hone_pool_destroy);
    const std::unique_ptr<hone_pool, void (*)(hone_pool*)> many(
        hone_pool_create(options_.threads, &error), hone_pool_destroy);
    if (one == nullptr || many == nullptr) return absl::InternalError(error.message);
    // Where there are no tiles, loading the kernels that need them says so.
    hone_pool_use_tiles(many.get(), nullptr);
    std::vector<Standing> standings;
    for (const KernelProblem& problem : problems_) standings.push_back(FindKernels(problem));
    for (int round = 1; round <= kRounds; ++round) {
      const int64_t start_ns = clock_.MonotonicNanos();
      for (size_t i = 0; i < problems_.size(); ++i) {
        if (!standings[i].trouble.ok()) continue;
        standings[i].trouble = TimeOnce(problems_[i], *hone_pool_host(one.get()),
                                        *hone_pool_host(many.get()), &standings[i]);
      }
      std::printf("round %d of %d: %.0f s\n", round, kRounds,
                  static_cast<double>(clock_.MonotonicNanos() - start_ns) / 1e9);
      std::fflush(stdout);
    }
    for (size_t i = 0; i < problems_.size(); ++i) {
      if (i == 0 || problems_[i].list != problems_[i - 1].list) PrintTitle(problems_[i].list);
      Count(problems_[i], standings[i]);
    }
    PrintSummary();
    return absl::OkStatus();
  }

  // Prints a problem's line, and adds it to what is said of all.
  void Count(const KernelProblem& problem, const Standing& standing) {
    if (!standing.trouble.ok()) {
      std::printf("%-44s %s\n", problem.name.c_str(),
                  std::string(standing.trouble.message()).c_str());
      return;
    }
    const Workload workload = WorkloadOf(problem);
    const double first_ns = standing.best_ns.at(kHone);
    const double again_ns = standing.best_ns.at(kHoneAgain);
    const double ours_ns = std::min(first_ns, again_ns);
    noise_.Add(std::min(first_ns / again_ns, again_ns / first_ns), problem.name);
    peak_gflops_ = std::max(peak_gflops_, standing.turns.peak_gflops);
    const bool held_back =
        standing.ours.manifest().needs_tiles() && standing.turns.at_full_speed < kFullSpeedVisits;
    held_back_ += held_back ? 1 : 0;
    const double gflops = FlopCount(workload) / ours_ns;
    const double share = gflops / (standing.turns.peak_gflops * options_.threads);
    std::printf("%-44s %9.1f %8.1f %5.0f%%", problem.name.c_str(), ours_ns / 1e3, gflops,
                100 * share);
    const hone_peer_problem& p = problem.numbers;
    const bool fits_l2 = ArgumentBytes(workload) <= targets_[options_.threads].l2_bytes;
    if (fits_l2 && p.groups <= 1 && p.kind <= HONE_PEER_BATCHED_MATMUL &&
        FlopCount(workload) > 1e6) {
      in_l2_.Add(share, problem.name);
    }
    for (const PeerLibrary& peer : peers_) {
      const auto best = standing.best_ns.find(peer.name());
      if (best == standing.best_ns.end()) {
        std::printf(" %17s", "-");
        continue;
      }
      const double ratio = best->second / ours_ns;
      ratios_[problem.list][peer.name()].Add(ratio, problem.name);
      if (absl::StartsWith(peer.name(), kPeerOfAims)) {
        if (p.groups > 1 && fits_l2) depthwise_in_l2_.Add(ratio, problem.name);
        if (p.groups == 1 && p.kernel == 3 && p.stride == 1 && p.size >= 28) {
          large_3x3_.Add(ratio, problem.name);
        }
      }
      std::printf(" %17.2f", ratio);
    }
    if (const auto single = standing.best_ns.find(kHoneOnOne); single != standing.best_ns.end()) {
      const double factor = single->second / ours_ns;
      std::printf("   %.2fx", factor);
      if (single->second > 1e6) scaling_.Add(factor, problem.name);
    }
    std::printf("%s\n", held_back ? "   matrix unit held back" : "");
    if (IsVerbose()) std::printf("%s\n", standing.schedule.c_str());
  }

  void PrintSummary() const {
    std::printf("\n%-22s %-16s %8s %8s   worst at\n", "list", "peer", "geomean", "worst");
    for (const auto& [name, of_list] : ratios_) {
      for (const auto& [peer, r] : of_list) {
        std::printf("%-22s %-16s %8.2f %8.2f   %s\n", name.c_str(), peer.c_str(), r.Mean(),
                    r.worst(), r.worst_name().c_str());
      }
    }
    std::printf(
        "noise: our kernels, timed twice in the same turns, differ by %.1f %% in the mean "
        "and %.1f %% at most (%s)\n",
        100 * (1 - noise_.Mean()), 100 * (1 - noise_.worst()), noise_.worst_name().c_str());
    std::printf("peak of one core %.1f GFLOP/s\n", peak_gflops_);
    if (held_back_ > 0) {
      std::printf(
          "%d problems were timed while something on the machine held the matrix unit back\n",
          held_back_);
    }
    PrintAims();
  }

  void PrintTitle(const std::string& list) const {
    std::printf("\n%s, numerics %s, %d thread%s\n%-44s %9s %8s %6s", list.c_str(),
                std::string(NumericsName(options_.numerics)).c_str(), options_.threads,
                options_.threads == 1 ? "" : "s", "", "us", "GFLOP/s", "peak");
    for (const PeerLibrary& peer : peers_) std::printf(" %17s", peer.name().c_str());
    std::printf("%s\n", options_.threads > 1 ? "   1 thread" : "");
  }

  // Of the lists that were compared; against oneDNN 2 unless said.
  void PrintAims() const {
    if (options_.threads > 1) {
      if (scaling_.count() == 0) return;
      PrintAim("two_threads_over_one_geomean", scaling_.Mean(), 1.85, Better::kMore);
      PrintAim("two_threads_over_one_worst", scaling_.worst(), 1.85, Better::kMore);
      return;
    }
    const auto against = [&](const char* whom, const std::vector<std::string>& lists) {
      Ratios all;
      for (const std::string& list : lists) {
        auto found = ratios_.find(list);
        if (found == ratios_.end()) continue;
        for (const auto& [peer, r] : found->second) {
          if (absl::StartsWith(peer, whom)) all.Add(r);
        }
      }
      return all;
    };
    const auto onednn = [&](const std::vector<std::string>& lists) {
      return against(kPeerOfAims, lists);
    };
    if (const Ratios r = onednn({"gemm", "resnet50"}); r.count() > 0) {
      switch (options_.numerics) {
        case Numerics::kStrict:
          PrintAim("strict_gemm_and_resnet50_geomean", r.Mean(), 1.05, Better::kMore);
          PrintAim("strict_gemm_and_resnet50_worst", r.worst(), 0.95, Better::kMore);
          PrintAim("strict_share_of_peak_in_l2", in_l2_.Mean(), 0.97, Better::kMore);
          break;
        case Numerics::kFp32:
          PrintAim("fp32_gemm_and_resnet50_geomean", r.Mean(), 1.5, Better::kMore);
          if (large_3x3_.count() > 0) {
            PrintAim("fp32_3x3_at_56_and_28_worst", large_3x3_.worst(), 1.8, Better::kMore);
          }
          break;
        default:
          PrintAim(absl::StrCat(NumericsName(options_.numerics), "_gemm_and_resnet50_geomean"),
                   r.Mean(), 2.2, Better::kMore);
      }
    }
    const std::vector<std::string> bf16 = {"bf16_gemm", "bf16_resnet50"};
    if (const Ratios r = onednn(bf16); r.count() > 0) {
      PrintAim("bf16_geomean", r.Mean(), 1.4, Better::kMore);
    }
    if (const Ratios r = against(kNewerPeer, bf16); r.count() > 0) {
      PrintAim("bf16_geomean_against_onednn_3", r.Mean(), 1.15, Better::kMore);
    }
    if (const Ratios r = onednn({"int8_gemm"}); r.count() > 0) {
      PrintAim("int8_gemm_geomean", r.Mean(), 1.1, Better::kMore);
    }
    if (const Ratios r = onednn({"int8_resnet50"}); r.count() > 0) {
      PrintAim("int8_convolutions_geomean", r.Mean(), 1.3, Better::kMore);
    }
    if (depthwise_in_l2_.count() > 0) {
      PrintAim("depthwise_in_l2_geomean", depthwise_in_l2_.Mean(), 1.7, Better::kMore);
    }
    if (const Ratios r = onednn({"bert"}); r.count() > 0)
      PrintAim("bert_geomean", r.Mean(), 1.5, Better::kMore);
  }

  const Options options_;
  const std::string top_;
  const std::string database_;
  const Clock& clock_;
  std::vector<PeerLibrary> peers_;
  std::vector<KernelProblem> problems_;
  std::map<int, Target> targets_;                                // by threads
  std::map<std::string, std::map<std::string, Ratios>> ratios_;  // list -> peer
  Ratios noise_;
  double peak_gflops_ = 0;
  // Of problems of a certain kind, for the aims.
  Ratios in_l2_;            // share of the peak where all arguments fit in L2
  Ratios depthwise_in_l2_;  // against kPeerOfAims, as the next
  Ratios large_3x3_;        // at 56 and 28, stride 1
  Ratios scaling_;          // our threads against our one, above 1 ms
  int held_back_ = 0;       // problems during which the matrix unit hardly had its full speed
};

StatusOr<Options> ParseOptions(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word.rfind("--", 0) != 0) {
      options.lists.push_back(word);
      continue;
    }
    if (i + 1 == argc) return absl::InvalidArgumentError(absl::StrCat(word, " needs a value"));
    const std::string value = argv[++i];
    bool good = true;
    if (word == "--numerics") {
      HONE_ASSIGN_OR_RETURN(options.numerics, ParseNumerics(value));
    } else if (word == "--threads") {
      good = absl::SimpleAtoi(value, &options.threads) && options.threads > 0;
    } else if (word == "--trials") {
      good = absl::SimpleAtoi(value, &options.trials) && options.trials > 0;
    } else if (word == "--minutes") {
      good = absl::SimpleAtod(value, &options.minutes);
    } else if (word == "--seed") {
      good = absl::SimpleAtoi(value, &options.seed);
    } else if (word == "--db") {
      options.database = value;
    } else if (word == "--only") {
      options.only = value;
      good = value == "tune" || value == "compare";
    } else {
      return absl::InvalidArgumentError(absl::StrCat("no option ", word));
    }
    if (!good) return absl::InvalidArgumentError(absl::StrCat(word, " cannot be ", value));
  }
  return options;
}

Status Main(int argc, char** argv) {
  HONE_ASSIGN_OR_RETURN(Options options, ParseOptions(argc, argv));
  const char* top = std::getenv("HONE_SOURCE_DIR");
  const std::string folder = top == nullptr ? fs::current_path().string() : std::string(top);
  fs::create_directories(folder + "/build/bench");
  const SystemClock clock;
  return Bench(std::move(options), folder, clock).Run();
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) {
  const hone::Status status = hone::Main(argc, argv);
  if (status.ok()) return 0;
  std::fprintf(stderr, "compare_kernels: %s\n", std::string(status.message()).c_str());
  return 1;
}

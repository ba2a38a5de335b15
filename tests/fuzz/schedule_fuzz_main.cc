// schedule_fuzz: random workloads by random schedules, held against the oracle for as long as
// asked. A failure is printed whole and kept in a file; `schedule_fuzz --replay FILE` runs it again
// and
// --shrink first leaves out what it does not need. Kernels run in a child: one that crashes or
// hangs is a failure like another.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <fstream>
#include <iostream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "tests/fuzz/fuzz_rounds.h"

namespace hone {
namespace {

constexpr unsigned kHungSeconds = 120;  // one kernel, compiled and run, under sanitizers

struct Options {
  uint64_t seed = 1;
  int64_t rounds = 0;   // 0: until the time is over
  double seconds = 10;  // with no number of rounds
  int failures_max = 1;
  std::string case_file = "schedule_fuzz.case";
  std::string replay;
  bool shrink = false;
};

void WriteFile(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::trunc) << text;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Distinct for neighbouring seeds and rounds.
uint64_t RoundSeed(uint64_t seed, int64_t round) {
  uint64_t x = seed * 0x9e3779b97f4a7c15u + static_cast<uint64_t>(round);
  x = (x ^ (x >> 31)) * 0xbf58476d1ce4e5b9u;
  return x ^ (x >> 29);
}

// What a child reports about one round: five numbers on a pipe.
struct Report {
  int64_t round = 0;
  RoundResult result;
};

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Rounds from `first` on, reported to `pipe`. The process ends at the first failure.
[[noreturn]] void RunChild(const Options& options, int64_t first, Clock::time_point start,
                           int pipe) {
  for (int64_t round = first;; ++round) {
    if (options.rounds > 0 ? round >= options.rounds : SecondsSince(start) >= options.seconds)
      break;
    Report report{round, {}};
    WriteFile(options.case_file,
              absl::StrCat("# while drawing round ", round, " of seed ", options.seed, "\n"));
    report.result = RunRound(
        RoundSeed(options.seed, round),
        [&](const FuzzCase& fuzz_case) {
          alarm(kHungSeconds);
          WriteFile(options.case_file, fuzz_case.ToString());
        },
        [&](const FuzzCase& fuzz_case, const std::string& message) {
          const std::string path = absl::StrCat(options.case_file, ".", options.seed, ".", round);
          WriteFile(path, absl::StrCat("# ", message, "\n", fuzz_case.ToString()));
          std::cout << "WRONG: " << message << "\n"
                    << fuzz_case.ToString() << "again: schedule_fuzz --replay " << path << "\n"
                    << std::flush;
        });
    alarm(0);
    if (write(pipe, &report, sizeof report) != sizeof report) _exit(3);
  }
  exit(0);
}

int Fuzz(const Options& options) {
  const Clock::time_point start = Clock::now();
  RoundResult total;
  int failures = 0;
  int64_t next = 0;
  std::cout << "schedule_fuzz: seed " << options.seed << "\n" << std::flush;
  bool finished = false;
  while (!finished && failures < options.failures_max) {
    int ends[2];
    if (pipe(ends) != 0) return 2;
    std::cout << std::flush;
    const pid_t child = fork();
    if (child < 0) return 2;
    if (child == 0) {
      close(ends[0]);
      RunChild(options, next, start, ends[1]);
    }
    close(ends[1]);
    Report report;
    bool stopped = false;
    while (read(ends[0], &report, sizeof report) == sizeof report) {
      next = report.round + 1;
      total.agreed += report.result.agreed;
      total.refused += report.result.refused;
      failures += report.result.wrong > 0;
      if (failures >= options.failures_max && !stopped) {
        stopped = true;
        kill(child, SIGTERM);
      }
    }
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) finished = true;
    if (finished || stopped) continue;
    ++failures;
    const std::string path = absl::StrCat(options.case_file, ".", options.seed, ".", next++);
    const std::string ended = WIFSIGNALED(status)
                                  ? absl::StrCat("signal ", WTERMSIG(status),
                                                 WTERMSIG(status) == SIGALRM ? " (it hung)" : "")
                                  : absl::StrCat("exit status ", WEXITSTATUS(status));
    const std::string text = ReadFile(options.case_file);
    WriteFile(path, absl::StrCat("# ended by ", ended, "\n", text));
    std::cout << "ENDED by " << ended << ":\n"
              << text << "again: schedule_fuzz --replay " << path << "\n";
  }
  unlink(options.case_file.c_str());
  const double seconds = SecondsSince(start);
  std::cout << next << " workloads, " << total.agreed << " kernels agreed, " << total.refused
            << " refused, " << failures << " failed; " << static_cast<int64_t>(seconds) << " s, "
            << static_cast<int64_t>((total.agreed + total.refused) * 60 / seconds)
            << " kernels a minute\n";
  return failures > 0 ? 1 : 0;
}

// Whether the case fails, in a child.
bool Fails(const FuzzCase& fuzz_case, bool quiet) {
  std::cout << std::flush;
  const pid_t child = fork();
  if (child == 0) {
    alarm(kHungSeconds);
    if (quiet) {
      (void)!freopen("/dev/null", "w", stderr);
    }
    const Verdict verdict = Check(fuzz_case);
    if (!quiet) {
      const char* const kNames[] = {"agrees", "refused", "WRONG"};
      std::cout << kNames[verdict.kind] << ": " << verdict.message << "\n" << std::flush;
    }
    _exit(verdict.kind == Verdict::kWrong ? 1 : 0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (!quiet && WIFSIGNALED(status)) std::cout << "ENDED by signal " << WTERMSIG(status) << "\n";
  return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

// Without the steps that the failure does not need.
FuzzCase Shrunk(FuzzCase fuzz_case) {
  bool smaller = true;
  while (smaller) {
    smaller = false;
    for (size_t i = fuzz_case.schedule.steps.size(); i-- > 0;) {
      FuzzCase attempt = fuzz_case;
      attempt.schedule.steps.erase(attempt.schedule.steps.begin() + static_cast<int64_t>(i));
      if (!Fails(attempt, /*quiet=*/true)) continue;
      fuzz_case = std::move(attempt);
      smaller = true;
    }
  }
  return fuzz_case;
}

int Replay(const Options& options) {
  auto fuzz_case = FuzzCase::Parse(ReadFile(options.replay));
  if (!fuzz_case.ok()) {
    std::cerr << "schedule_fuzz: " << options.replay << ": " << fuzz_case.status().message()
              << "\n";
    return 2;
  }
  if (options.shrink && Fails(*fuzz_case, /*quiet=*/true)) {
    *fuzz_case = Shrunk(*fuzz_case);
    std::cout << fuzz_case->ToString();
  }
  return Fails(*fuzz_case, /*quiet=*/false) ? 1 : 0;
}

int Main(int argc, char** argv) {
  Options options;
  CLI::App app("Holds random kernels against the oracle.");
  app.add_option("--seed", options.seed, "everything follows from it");
  app.add_option("--seconds", options.seconds, "for so long");
  app.add_option("--rounds", options.rounds, "so many workloads, however long that takes");
  app.add_option("--failures", options.failures_max, "go on until so many");
  app.add_option("--case-file", options.case_file, "where failures are kept; a suffix is added");
  app.add_option("--replay", options.replay, "run the case in this file, and nothing else");
  app.add_flag("--shrink", options.shrink, "with --replay: leave out steps that it fails without");
  CLI11_PARSE(app, argc, argv);
  return options.replay.empty() ? Fuzz(options) : Replay(options);
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) { return hone::Main(argc, argv); }

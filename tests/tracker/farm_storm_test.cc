// Many storms: thousands of seeds on all cores. `make sim` runs the large form; the environment
// says how many: SEEDS, AGENTS (a farm; 0: 1 to 8, by the seed), FIRST_SEED. HISTORY names a file
// for what happened in the first.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "tests/tracker/farm_simulator.h"

namespace hone {
namespace {

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr && *text != 0 ? std::strtoull(text, nullptr, 10) : otherwise;
}

TEST(FarmStorm, ComesThroughThousandsOfSeeds) {
  const uint64_t first = FromEnvironment("FIRST_SEED", 1);
  const uint64_t end = first + FromEnvironment("SEEDS", 10'000);
  const int agents = static_cast<int>(FromEnvironment("AGENTS", 0));
  std::atomic<uint64_t> next = first;
  std::atomic<int64_t> events = 0, crashes = 0, events_least = INT64_MAX;
  std::atomic<uint64_t> hash = 0;
  absl::Mutex mutex;
  std::vector<std::string> broken;
  if (const char* file = std::getenv("HISTORY"); file != nullptr) {
    std::ofstream(file) << Simulate({.seed = first, .agents = agents, .keep_log = true}).log;
  }
  const auto began = std::chrono::steady_clock::now();
  const auto work = [&] {
    for (uint64_t seed = next++; seed < end; seed = next++) {
      const SimulatorReport report = Simulate({.seed = seed, .agents = agents});
      events += report.events;
      crashes += report.crashes;
      hash ^= report.log_hash;
      for (int64_t least = events_least; report.events < least;) {
        if (events_least.compare_exchange_weak(least, report.events)) break;
      }
      if (report.violations.empty()) continue;
      absl::MutexLock lock(&mutex);
      broken.push_back(absl::StrCat("seed ", seed, ": ", absl::StrJoin(report.violations, "; ")));
      if (broken.size() >= 5) next = end;  // the first ones tell enough
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); ++i) {
    threads.emplace_back(work);
  }
  for (std::thread& thread : threads) thread.join();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  std::cout << absl::StreamFormat(
      "seeds %d events %d least %d crashes %d seconds %.1f threads %d hash %016x\n", end - first,
      events.load(), events_least.load(), crashes.load(), took.count(), threads.size(),
      hash.load());
  EXPECT_TRUE(broken.empty()) << absl::StrJoin(broken, "\n");
  EXPECT_GE(events_least, 2000);
}

}  // namespace
}  // namespace hone

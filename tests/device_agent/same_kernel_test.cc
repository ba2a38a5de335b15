// The A/A test: one kernel as two candidates of a duel, again and again, through the worker that
// measures for the farm: they should hardly ever look different. And the same with one of them made
// 2 % slower: that should be seen. The figures are printed; on a machine that others use only what
// is robust is held, and HONE_COMPARISONS=1000 takes as many as a release needs.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "base/median.h"
#include "proto/worker.pb.h"
#include "rpc/child_process.h"
#include "rpc/frame.h"
#include "tests/device_agent/agent_batches.h"

namespace hone {
namespace {

constexpr double kThreshold = 0.01;
constexpr double kSteady = 0.02;

int Comparisons() {
  const char* text = getenv("HONE_COMPARISONS");
  return text != nullptr ? atoi(text) : 60;
}

class SameKernelTest : public testing::Test {
 protected:
  SameKernelTest()
      : worker_(
            ChildProcess::Start({.program = std::string(getenv("HONE_BIN_DIR")) + "/hone-worker"})
                .value()) {}

  struct Pair {
    pb::Measurement a, b;
    bool quiet() const { return !a.not_quiet() && !b.not_quiet(); }
    double Ratio() const { return b.cost_ns() / a.cost_ns(); }
    bool Apart() const { return std::abs(Ratio() - 1) > kThreshold; }
    // Apart, and the medians' intervals are so too.
    bool SurelyApart() const {
      return Apart() && (b.low_ns() > a.high_ns() || a.low_ns() > b.high_ns());
    }
  };

  Pair Duel(const char* first, const char* second) {
    pb::MeasureRequest request;
    *request.mutable_batch() = TestBatch({first, second});
    request.mutable_batch()->set_final(true);
    EXPECT_TRUE(WriteFrame(worker_.socket(), request).ok());
    Pair pair;
    pb::MeasureReply reply;
    while (ReadFrame(worker_.socket(), reply).value_or(false) && !reply.has_done()) {
      (reply.candidate().index() == 0 ? pair.a : pair.b) = reply.candidate().measurement();
    }
    EXPECT_EQ(pair.a.failure(), pb::OK) << pair.a.message();
    EXPECT_EQ(pair.b.failure(), pb::OK) << pair.b.message();
    return pair;
  }

  std::vector<Pair> Duels(const char* first, const char* second, int count) {
    std::vector<Pair> pairs;
    for (int i = 0; i < count; ++i) pairs.push_back(Duel(first, second));
    return pairs;
  }

  struct Figures {
    double median_ratio = 0;
    double clock_moved = 0;  // how far the costs of one kernel lie apart, over all duels
    int apart = 0, surely_apart = 0;
  };
  static Figures Sum(const char* name, const std::vector<Pair>& pairs) {
    Figures figures;
    std::vector<double> ratios, costs_ns;
    int quiet = 0;
    for (const Pair& pair : pairs) {
      ratios.push_back(pair.Ratio());
      costs_ns.push_back(pair.a.cost_ns());
      quiet += pair.quiet();
      figures.apart += pair.Apart();
      figures.surely_apart += pair.SurelyApart();
    }
    figures.median_ratio = Median(ratios);
    figures.clock_moved = *std::max_element(costs_ns.begin(), costs_ns.end()) /
                              *std::min_element(costs_ns.begin(), costs_ns.end()) -
                          1;
    const auto share = [&](int count) { return 100.0 * count / static_cast<double>(pairs.size()); };
    printf(
        "%s: %zu duels, %d quiet; median ratio %.4f, deviation %.4f; %.1f %% apart by more than "
        "1 %%, %.1f %% with medians apart too; over all duels the costs lie %.1f %% apart\n",
        name, pairs.size(), quiet, figures.median_ratio,
        MedianDeviation(ratios, figures.median_ratio), share(figures.apart),
        share(figures.surely_apart), 100 * figures.clock_moved);
    return figures;
  }
  // A machine whose clock stands still: only there the rates say something of hone.
  static bool IsSteady(const Figures& figures) {
    if (figures.clock_moved <= kSteady) return true;
    printf("the rates are not held: this machine's clock moves, or others use it\n");
    return false;
  }

  ChildProcess worker_;
};

TEST_F(SameKernelTest, LooksDifferentFromItselfHardlyEver) {
  const std::vector<Pair> pairs = Duels("paced", "paced", Comparisons());
  const Figures figures = Sum("A/A", pairs);
  EXPECT_NEAR(figures.median_ratio, 1, kThreshold);
  if (!IsSteady(figures)) return;
  // One in a hundred; of few comparisons one may be.
  EXPECT_LE(figures.apart, std::max<int>(1, static_cast<int>(pairs.size()) / 100));
}

TEST_F(SameKernelTest, LooksSlowerWhenItIsMadeTwoPercentSlower) {
  const std::vector<Pair> pairs = Duels("paced", "paced_slower", Comparisons());
  const Figures figures = Sum("A/B of +2 %", pairs);
  EXPECT_NEAR(figures.median_ratio, 1.02, kThreshold);
  if (!IsSteady(figures)) return;
  EXPECT_GE(figures.apart, static_cast<int>(pairs.size()) * 95 / 100);
}

}  // namespace
}  // namespace hone

#include "device_agent/measure/agreement.h"

#include <gmock/gmock.h>

#include <cmath>

namespace hone {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr Order kVisit = {.kind = OrderKind::kVisit, .samples = 2, .runs_per_sample = 10};

Answer Claiming(double first_ns, double second_ns) {
  Answer answer;
  answer.sample_count = 2;
  answer.run_ns[0] = first_ns;
  answer.run_ns[1] = second_ns;
  return answer;
}

std::string Verdict(const Answer& answer, const Seen& seen, int threads = 1) {
  return Disagreement(kVisit, answer, seen, threads, {.around_ns = 75e3});
}

TEST(AgreementTest, BelievesTimesThatWereSeen) {
  EXPECT_EQ(Verdict(Claiming(1e6, 1e6), {20.1e6, 20.1e6}), "");
  // Others had the core for a while: more time passed than was used.
  EXPECT_EQ(Verdict(Claiming(1e6, 1e6), {50e6, 20.1e6}), "");
}

TEST(AgreementTest, DoesNotBelieveWorkThatWasNotClaimed) {
  EXPECT_THAT(Verdict(Claiming(1e5, 1e5), {20e6, 20e6}),
              HasSubstr("claims 2.000 ms of runs, but used 20.000 ms of CPU time"));
  // The limits: 5 %, 0.2 ms, and twice the 75 us beside.
  EXPECT_EQ(Verdict(Claiming(1e6, 1e6), {22e6, 21.3e6}), "");
  EXPECT_NE(Verdict(Claiming(1e6, 1e6), {22e6, 21.4e6}), "");
}

TEST(AgreementTest, DoesNotLetOneLongWaitExplainTheOtherSamples) {
  EXPECT_THAT(Verdict(Claiming(2e6, 1e4), {40e6, 4e6}), HasSubstr("used 4.000 ms of CPU time"));
  EXPECT_EQ(Verdict(Claiming(2e6, 1e4), {40e6, 0.5e6}), "");
}

TEST(AgreementTest, SeesHelpersByTheirCpuTime) {
  EXPECT_THAT(Verdict(Claiming(1e6, 1e6), {20e6, 40e6}), HasSubstr("CPU time"));
  EXPECT_EQ(Verdict(Claiming(1e6, 1e6), {20e6, 40e6}, /*threads=*/2), "");
}

TEST(AgreementTest, DoesNotBelieveMoreTimeThanPassed) {
  EXPECT_THAT(Verdict(Claiming(2e6, 2e6), {20e6, 20e6}), HasSubstr("only 20.000 ms passed"));
}

TEST(AgreementTest, DoesNotBelieveRunsThatTakeNoTime) {
  for (double ns : {0.0, -1.0, std::nan(""), double{INFINITY}})
    EXPECT_NE(Verdict(Claiming(1e6, ns), {20e6, 20e6}), "") << ns;
}

TEST(AgreementTest, LetsCachesBeFlushedForAsLongAsThatCanTake) {
  Answer answer = Claiming(1e6, 1e6);
  answer.flushed_ns = 30e6;
  EXPECT_EQ(Disagreement(kVisit, answer, {50e6, 50e6}, 1, {.flush_limit_ns = 30e6}), "");
  EXPECT_NE(Disagreement(kVisit, answer, {50e6, 50e6}, 1, {.flush_limit_ns = 10e6}), "");
}

TEST(AgreementTest, CountsTheRunsOfAFirstVisitItself) {
  // The first sample of 10 us takes one run by the estimate; it then turns out ten times faster.
  const Order order = {.kind = OrderKind::kFirstVisit, .estimate_ns = 10e3};
  EXPECT_THAT(RunsOfSamples(order, Claiming(1e3, 1e3)), ElementsAre(1, 10));
}

TEST(AgreementTest, AProcessRestsBetweenOrders) {
  Seen seen = {.idle_cpu_ns = 900e3, .pauses = 10};
  EXPECT_EQ(UnrestDisagreement(seen, /*threads=*/1), "");
  seen.idle_cpu_ns = 3e6;
  EXPECT_EQ(UnrestDisagreement(seen, /*threads=*/1),
            "used 3.000 ms of CPU time while it had nothing to do");
  EXPECT_EQ(UnrestDisagreement(seen, /*threads=*/8), "");
}

TEST(FreshRunTest, MayTakeThreeTimesAsLongAndWhatReadingTakes) {
  Answer answer;
  answer.run_ns[0] = 3e6;
  EXPECT_EQ(FreshRunDisagreement(1e6, answer, {3e6, 3e6}, 1, 0), "");
  answer.run_ns[0] = 3.1e6;
  EXPECT_THAT(FreshRunDisagreement(1e6, answer, {3.1e6, 3.1e6}, 1, 0),
              HasSubstr("takes 3.100 ms, the timed runs claim 1.000 ms"));
  EXPECT_EQ(FreshRunDisagreement(1e6, answer, {3.1e6, 3.1e6}, 1, 1e6), "");
}

TEST(FreshRunTest, IsNotChargedWhatOthersHadTheCoreFor) {
  Answer answer;
  answer.run_ns[0] = 9e6;
  EXPECT_EQ(FreshRunDisagreement(1e6, answer, {9.2e6, 1.2e6}, 1, 0), "");
}

TEST(FreshRunTest, IsTimedFromOutside) {
  Answer answer;
  answer.run_ns[0] = 1e3;  // says the kernel's process
  EXPECT_NE(FreshRunDisagreement(1e3, answer, {5e6, 5e6}, 1, 0), "");
}

}  // namespace
}  // namespace hone

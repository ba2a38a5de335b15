// Exponentials summed over blocks with a running maximum compute what the oracle says: odd sizes,
// blocks that do not divide, masks, values that are no numbers; every stage by itself, all of them
// step by step, and anything between.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "compiler/operators/reference.h"
#include "tests/lower/kernel_check.h"
#include "tests/lower/oracle_check.h"
#include "tests/support/avx2_target.h"

namespace hone {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Attention of 2 heads, `keys` keys, with a mask.
Workload Masked(int keys) {
  const std::string l = absl::StrCat(keys);
  return *Workload::Parse(absl::StrCat(
      "workload/1\ninput q f32 [2,7,5]\ninput k f32 [2,", l, ",5]\ninput a f32 [7,", l,
      "]\ninput v f32 [2,", l, ",11]\noutput y f32 [2,7,11]\nstage s f32 [b:2,m:7,n:", l,
      "] sum [d:5] = q[b,m,d]*k[b,n,d]\nstage p f32 [b:2,m:7,n:", l,
      "] = s[b,m,n]*0x1p-1+a[m,n]\nstage top f32 [b:2,m:7] max [l:", l,
      "] = p[b,m,l]\nstage e f32 [b:2,m:7,n:", l,
      "] = exp(min(0x0p+0,p[b,m,n]-top[b,m]))\nstage total f32 [b:2,m:7] sum [l:", l,
      "] = e[b,m,l]\nstage inverse f32 [b:2,m:7] = 0x1p+0/total[b,m]\n"
      "stage c f32 [b:2,m:7,o:11] sum [l:",
      l, "] = e[b,m,l]*v[b,l,o]\nstage y f32 [b:2,m:7,o:11] = c[b,m,o]*inverse[b,m]\n"));
}

// All that belongs to a block inside the loop over blocks.
constexpr char kStepByStep[] =
    "tile y m 3\nreorder y b m.0 m.1 o\nat inverse y m.0\nat c.r y m.0\n"
    "reorder c.r l.o b m o\nvectorize c.r o\nat c.b c.r m\nreorder c.b l.i b m l.o o\n"
    "vectorize c.b o\nat total.r c.r l.o\nat total.b c.r l.o\nvectorize total.b l.i\n"
    "at e c.r l.o\nvectorize e l.i\nat top.f c.r l.o\nat top.s c.r l.o\nat top.r c.r l.o\n"
    "at top.b c.r l.o\nat p c.r l.o\nat s p m\n";

void Agrees(const Workload& workload, const std::string& steps) {
  auto schedule = Schedule::Parse("schedule/1\n" + steps);
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  for (int seed = 0; seed < 3; ++seed) {
    std::mt19937_64 random(seed);
    EXPECT_TRUE(AgreesWithOracle(workload, *schedule, Avx2Target(2), random)) << steps;
  }
}

TEST(RunningTest, OfAnyBlockOfAnyRow) {
  for (const int keys : {1, 2, 13, 16, 37}) {
    for (const int block : {1, 4, 5, 16, 64}) {
      SCOPED_TRACE(absl::StrCat(keys, " keys by ", block));
      Agrees(Masked(keys), absl::StrCat("running top ", block, "\n"));
      Agrees(Masked(keys), absl::StrCat("running top ", block, "\n", kStepByStep));
    }
  }
}

TEST(RunningTest, StatesCanStayWithTheirStepsOrWithAll) {
  const Workload workload = Masked(24);
  // Some step by step, some before; all steps of the last one at the root.
  Agrees(workload, "running top 8\nat total.r c.r l.o\nreorder c.r l.o b m o\n");
  Agrees(workload, "running top 8\nat c.r y m\nparallel y b\n");
  Agrees(workload, "running top 8\nreorder c.r b m o l.o\nparallel top.r b\nunroll c.r l.o\n");
  Agrees(workload, "running top 8\ncache top.r top.s\nlayout top.r 2,0,1\nlayout c.r 2,1,0,3\n");
}

TEST(RunningTest, OfOneQueryAndOfRowsThatAreInputs) {
  Agrees(
      *Workload::Parse("workload/1\ninput x f32 [19]\ninput v f32 [19,3]\noutput y f32 [3]\n"
                       "stage top f32 [] max [l:19] = x[l]\nstage e f32 [n:19] = exp(x[n]-top[])\n"
                       "stage total f32 [] sum [l:19] = e[l]\n"
                       "stage c f32 [o:3] sum [l:19] = v[l,o]*e[l]*0x1p+1\n"
                       "stage y f32 [o:3] = c[o]/total[]\n"),
      "running top 4\n");
}

TEST(RunningTest, WhatReadsTheMaximumItselfReadsTheLast) {
  // The logarithm of a sum of exponentials.
  Agrees(*Workload::Parse("workload/1\ninput x f32 [5,23]\noutput y f32 [5]\n"
                          "stage top f32 [m:5] max [k:23] = x[m,k]\n"
                          "stage e f32 [m:5,n:23] = exp(x[m,n]-top[m])\n"
                          "stage total f32 [m:5] sum [k:23] = e[m,k]\n"
                          "stage y f32 [m:5] = log(total[m])+top[m]\n"),
         "running top 6\nat total.r y m\nat total.b total.r k.o\n");
}

// Blocks that are masked as a whole, at the beginning, between others and at the end, are as if
// they were not there; rows that are, are NaN. A NaN makes its row NaN, wherever it stands.
TEST(RunningTest, OfMasksAndValuesThatAreNoNumbers) {
  const Workload workload = Masked(20);
  std::mt19937_64 random(1);
  KernelCase values = *DrawKernelCase(workload, {}, InputKind::kNormal, random);
  Tensor& mask = values.inputs.at("a");
  for (int64_t l = 0; l < 20; ++l) {
    if (l < 5) mask.Set(0 * 20 + l, -kInfinity);
    if (l >= 4 && l < 13) mask.Set(1 * 20 + l, -kInfinity);
    if (l >= 11) mask.Set(2 * 20 + l, -kInfinity);
    mask.Set(3 * 20 + l, -kInfinity);
    if (l < 19) mask.Set(4 * 20 + l, -kInfinity);
  }
  mask.Set(5 * 20 + 19, kNan);
  mask.Set(6 * 20, kInfinity);
  values.expected = *EvaluateWorkload(workload, values.inputs);
  EXPECT_TRUE(std::isnan(values.expected.at("y").Get(3 * 11)));
  EXPECT_FALSE(std::isnan(values.expected.at("y").Get(4 * 11)));
  for (const char* places : {"", kStepByStep}) {
    for (const int block : {3, 4, 20}) {
      const Schedule schedule =
          *Schedule::Parse(absl::StrCat("schedule/1\nrunning top ", block, "\n", places));
      const auto outputs = RunKernel(workload, schedule, Avx2Target(1), values, RunBy::kMachine);
      ASSERT_TRUE(outputs.ok()) << outputs.status();
      EXPECT_EQ(DifferenceFromOracle(workload, schedule, values, *outputs), "")
          << schedule.ToString();
    }
  }
}

TEST(RunningTest, RoundsLittleMoreThanThePlainForm) {
  const Workload workload = Masked(512);
  std::mt19937_64 random(1);
  const auto plain =
      RmsErrorAgainstOracle(workload, *Schedule::Parse("schedule/1\n"), Avx2Target(1), random);
  ASSERT_TRUE(plain.ok()) << plain.status();
  for (const int block : {8, 64}) {
    random.seed(1);
    const auto running = RmsErrorAgainstOracle(
        workload, *Schedule::Parse(absl::StrCat("schedule/1\nrunning top ", block, "\n")),
        Avx2Target(1), random);
    ASSERT_TRUE(running.ok()) << running.status();
    EXPECT_LT(*running, 2 * *plain);
    RecordProperty(absl::StrCat("block_", block), absl::StrCat(*running / *plain));
  }
}

// What cannot be computed step by step is refused, never computed wrong.
TEST(RunningTest, StatesNeedStepsInTheirOrder) {
  const Workload workload = Masked(24);
  std::mt19937_64 random(1);
  for (const char* steps : {
           "at total.r c.r l.o\n",                       // l.o is not the outermost loop
           "reorder c.r l.o b m o\nat top.r c.r l.o\n",  // read outside, not the last
           "reorder c.r l.o b m o\nat total.r c.r l.o\ncache total.r inverse\n",
       }) {
    const Schedule schedule = *Schedule::Parse(absl::StrCat("schedule/1\nrunning top 8\n", steps));
    EXPECT_FALSE(AgreesWithOracle(workload, schedule, Avx2Target(1), random)) << steps;
  }
}

}  // namespace
}  // namespace hone

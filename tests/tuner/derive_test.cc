#include "tuner/space/derive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "compiler/compile.h"
#include "compiler/schedule/schedule.h"

namespace hone {
namespace {

Target Avx2(int threads = 1) {
  Target target;
  target.features = {"avx", "avx2", "fma"};
  target.threads = threads;
  target.cores = threads;
  return target;
}

Layout L(absl::string_view text) { return *Layout::Parse(text); }

struct Case {
  std::string name;
  std::string workload;
  std::vector<std::string> layouts;  // "" is the identity
};

const char kConvolution[] =
    "workload/1\n"
    "input x f32 [1,64,56,56]\n"
    "constant w f32 [64,64,3,3]\n"
    "constant b f32 [64]\n"
    "output y f32 [1,64,56,56]\n"
    "stage c f32 [n:1,o:64,h:56,w:56] sum [i:64,p:3,q:3] = "
    "x[n,i,h+p+-1,w+q+-1 else 0x0p+0]*w[o,i,p,q]\n"
    "stage y f32 [n:1,o:64,h:56,w:56] = max(c[n,o,h,w]+b[o],0x0p+0)\n";
const char kBlocked[] = "0,1/8,2,3,1%8";

std::vector<Case> Cases() {
  return {
      {"convolution", kConvolution, {kBlocked, "", "", kBlocked}},
      {"plain_convolution", kConvolution, {"", "", "", ""}},
      {"first_convolution",
       "workload/1\n"
       "input x f32 [1,3,224,224]\n"
       "constant w f32 [64,3,7,7]\n"
       "output y f32 [1,64,112,112]\n"
       "stage y f32 [n:1,o:64,h:112,w:112] sum [i:3,p:7,q:7] = "
       "x[n,i,h*2+p+-3,w*2+q+-3 else 0x0p+0]*w[o,i,p,q]\n",
       {"", "", kBlocked}},
      {"matmul",
       "workload/1\n"
       "input x f32 [512,512]\n"
       "constant w f32 [512,512]\n"
       "output y f32 [512,512]\n"
       "stage y f32 [m:512,n:512] sum [k:512] = x[m,k]*w[k,n]\n",
       {"", "", ""}},
      {"dense",
       "workload/1\n"
       "input x f32 [1,512]\n"
       "constant w f32 [1000,512]\n"
       "constant b f32 [1000]\n"
       "output y f32 [1,1000]\n"
       "stage c f32 [m:1,n:1000] sum [k:512] = x[m,k]*w[n,k]\n"
       "stage y f32 [m:1,n:1000] = c[m,n]+b[n]\n",
       {"", "", "", ""}},
      {"attention",
       "workload/1\n"
       "input x f32 [12,128,64]\n"
       "input w f32 [12,128,64]\n"
       "output y f32 [12,128,128]\n"
       "stage y f32 [b:12,m:128,n:128] sum [k:64] = x[b,m,k]*w[b,n,k]\n",
       {"", "", ""}},
      {"depthwise",
       "workload/1\n"
       "input x f32 [1,96,28,28]\n"
       "constant w f32 [96,3,3]\n"
       "constant b f32 [96]\n"
       "output y f32 [1,96,28,28]\n"
       "stage c f32 [n:1,c:96,h:28,w:28] sum [p:3,q:3] = "
       "x[n,c,h+p+-1,w+q+-1 else 0x0p+0]*w[c,p,q]\n"
       "stage y f32 [n:1,c:96,h:28,w:28] = max(c[n,c,h,w]+b[c],0x0p+0)\n",
       {kBlocked, "", "", kBlocked}},
      {"max_pool",
       "workload/1\n"
       "input x f32 [1,64,112,112]\n"
       "output y f32 [1,64,56,56]\n"
       "stage y f32 [n:1,c:64,h:56,w:56] max [p:3,q:3] = "
       "x[n,c,h*2+p+-1,w*2+q+-1 else -inf]\n",
       {kBlocked, kBlocked}},
      {"global_mean",
       "workload/1\n"
       "input x f32 [1,512,7,7]\n"
       "output y f32 [1,512,1,1]\n"
       "stage c f32 [n:1,c:512,h:1,w:1] sum [p:7,q:7] = x[n,c,h+p,w+q]\n"
       "stage y f32 [n:1,c:512,h:1,w:1] = c[n,c,h,w]*0x1.4e5e0ap-6\n",
       {kBlocked, ""}},
      {"elementwise",
       "workload/1\n"
       "input x f32 [1,64,3136]\n"
       "input r f32 [1,64,3136]\n"
       "output y f32 [1,64,3136]\n"
       "stage t f32 [n:1,c:64,m:3136] = x[n,c,m]+r[n,c,m]\n"
       "stage y f32 [n:1,c:64,m:3136] = max(t[n,c,m],0x0p+0)\n",
       {"0,1/8,2,1%8", "0,1/8,2,1%8", "0,1/8,2,1%8"}},
      {"transpose",
       "workload/1\n"
       "input x f32 [64,96]\n"
       "output y f32 [96,64]\n"
       "stage y f32 [m:96,n:64] = x[n,m]\n",
       {"", ""}},
      {"softmax",
       "workload/1\n"
       "input x f32 [16,1000]\n"
       "output y f32 [16,1000]\n"
       "stage top f32 [m:16] max [k:1000] = x[m,k]\n"
       "stage e f32 [m:16,n:1000] = exp(x[m,n]+neg(top[m]))\n"
       "stage total f32 [m:16] sum [k:1000] = e[m,k]\n"
       "stage y f32 [m:16,n:1000] = e[m,n]/total[m]\n",
       {"", ""}},
  };
}

struct Derived {
  Workload workload;
  std::vector<Sketch> sketches;
};

// In the class that has the most sketches unless told otherwise.
Derived Derive(const Case& c, const Target& target, Numerics numerics = Numerics::kFast) {
  auto workload = Workload::Parse(c.workload);
  EXPECT_TRUE(workload.ok()) << c.name << ": " << workload.status();
  std::vector<Layout> layouts;
  for (size_t b = 0; b < workload->buffers.size(); ++b) {
    layouts.push_back(c.layouts[b].empty()
                          ? Layout::Identity(static_cast<int>(workload->buffers[b].shape.size()))
                          : L(c.layouts[b]));
  }
  auto sketches = DeriveSketches(*workload, layouts, target, numerics);
  EXPECT_TRUE(sketches.ok()) << c.name << ": " << sketches.status();
  return {*workload, *std::move(sketches)};
}

const Case& CaseOf(absl::string_view name) {
  static const std::vector<Case> cases = Cases();
  return *std::find_if(cases.begin(), cases.end(), [&](const Case& c) { return c.name == name; });
}

const Sketch& SketchOf(const Derived& derived, absl::string_view name) {
  for (const Sketch& sketch : derived.sketches) {
    if (sketch.name() == name) return sketch;
  }
  ADD_FAILURE() << "no sketch " << std::string(name);
  return derived.sketches.back();
}

// Every assignment, or a regular sample of about `limit` of them.
std::vector<Assignment> SomeAssignments(const Sketch& sketch, int64_t limit) {
  std::vector<Assignment> assignments;
  const int64_t size = sketch.Size();
  const int64_t step = std::max<int64_t>(1, size / limit) | 1;
  for (int64_t i = 0; i < size; i += step) {
    Assignment assignment;
    int64_t rest = i;
    for (const Hole& hole : sketch.holes()) {
      assignment.push_back(static_cast<int>(rest % static_cast<int64_t>(hole.values.size())));
      rest /= static_cast<int64_t>(hole.values.size());
    }
    if (sketch.Satisfies(assignment)) assignments.push_back(assignment);
  }
  return assignments;
}

TEST(DeriveTest, EveryCandidateIsLegal) {
  for (int threads : {1, 4}) {
    for (const Case& c : Cases()) {
      const Derived derived = Derive(c, Avx2(threads));
      for (const Sketch& sketch : derived.sketches) {
        const std::vector<Assignment> assignments = SomeAssignments(sketch, 60);
        EXPECT_FALSE(assignments.empty()) << c.name << " " << sketch.name();
        for (const Assignment& assignment : assignments) {
          auto schedule = sketch.Instantiate(assignment);
          ASSERT_TRUE(schedule.ok()) << schedule.status() << "\n" << sketch.ToString();
          auto nest = ApplySchedule(*schedule, derived.workload);
          ASSERT_TRUE(nest.ok()) << c.name << " " << sketch.name() << ": " << nest.status() << "\n"
                                 << schedule->ToString();
        }
      }
    }
  }
}

// Whether stages are computed before they are read shows only here.
TEST(DeriveTest, EverySketchBecomesAProgram) {
  for (int threads : {1, 4}) {
    for (const Case& c : Cases()) {
      const Derived derived = Derive(c, Avx2(threads));
      for (const Sketch& sketch : derived.sketches) {
        for (const Assignment& assignment : SomeAssignments(sketch, 4)) {
          auto schedule = sketch.Instantiate(assignment);
          ASSERT_TRUE(schedule.ok()) << schedule.status() << "\n" << sketch.ToString();
          auto program = LowerWorkload(derived.workload, *schedule, Avx2(threads));
          ASSERT_TRUE(program.ok())
              << c.name << " " << sketch.name() << ": " << program.status() << "\n"
              << schedule->ToString();
        }
      }
    }
  }
}

TEST(DeriveTest, EachKindOfWorkloadHasItsRule) {
  const std::map<std::string, std::string> rule = {
      {"convolution", "panel_outer_copy_rows"},
      {"plain_convolution", "panel_inner_copy_rows"},
      {"first_convolution", "panel_outer"},
      {"matmul", "row_blocks"},
      {"dense", "panel_outer"},
      {"attention", "panel_inner"},
      {"depthwise", "window_copy_rows"},
      {"max_pool", "reduce"},
      {"global_mean", "reduce"},
      {"elementwise", "elementwise"},
      {"transpose", "transpose"},
      {"softmax", "rows"},
  };
  for (const Case& c : Cases()) {
    const Derived derived = Derive(c, Avx2());
    EXPECT_EQ(SketchOf(derived, rule.at(c.name)).name(), rule.at(c.name)) << c.name;
    EXPECT_EQ(derived.sketches.back().name(), "plain");
  }
}

TEST(DeriveTest, ConvolutionSketchReadsAsExpected) {
  const Derived derived = Derive(CaseOf("convolution"), Avx2());
  EXPECT_EQ(SketchOf(derived, "panel_outer_copy_rows").ToString(), R"(sketch/1 panel_outer_copy_rows
hole width in 8, 16, 24, 32, 48
hole depth in 1, 2, 4, 8, 16
hole rows in 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14
hole block in 1, 2, 4, 7, 14, 28, 56
require floordiv(width,8)*rows+floordiv(width,8)+1<=16
require 7<=floordiv(width,8)*rows
require floordiv(width,8)*rows*depth<=128
schedule/1
layout x 0,1/8,2,3,1%8
layout y 0,1/8,2,3,1%8
cache w c
layout w@c 0/?width,1/?depth,2,3,1%?depth,0%?width
prepare w@c
cache x c
layout x@c 0,1/8,2,3,1%8
tile x@c d1 8 by 8
reorder x@c d0 d1.0 d2 d3 d1.1
vectorize x@c d1.1
tile y o ?width by 8
tile y w ?rows
tile y h ?block
reorder y n h.0 o.0 h.1 w.0 w.1 o.1
unroll y w.1
vectorize y o.1
at c y w.0
tile c i ?depth
reorder c i.0 p q i.1 n h w o
vectorize c o
microkernel c i.1
at x@c y h.0
)");
}

TEST(DeriveTest, ImagesReadAtAStrideAreCopiedInPhases) {
  const auto copies = [](absl::string_view index, absl::string_view layout,
                         absl::string_view name) {
    const Derived derived =
        Derive({"strided",
                absl::StrCat("workload/1\ninput x f32 [1,12,40,40]\nconstant w f32 [20,12,3,3]\n"
                             "output y f32 [1,20,10,10]\nstage y f32 [n:1,o:20,h:10,w:10] "
                             "sum [i:12,p:3,q:3] = x[n,i,h*3+p,",
                             index, "]*w[o,i,p,q]\n"),
                {std::string(layout), "", ""}},
               Avx2());
    return SketchOf(derived, name).ToString();
  };
  const std::string phases = "layout x@y.a 0,1,2,3%3,3/3\n";
  EXPECT_THAT(copies("w*3+q+-1 else 0x0p+0", "", "panel_inner"), testing::HasSubstr(phases));
  EXPECT_THAT(copies("w*3+q", "", "panel_inner_copy_rows"), testing::HasSubstr(phases));
  EXPECT_THAT(copies("w+q", "", "panel_inner"), testing::Not(testing::HasSubstr("cache x")));
  EXPECT_THAT(copies("w*3+q+-1 else 0x0p+0", "0,1/4,2,3,1%4", "panel_inner"),
              testing::Not(testing::HasSubstr("%3")))
      << "columns do not lie side by side";
}

TEST(DeriveTest, WinogradSketchReadsAsExpected) {
  const Derived derived = Derive(CaseOf("convolution"), Avx2(2));
  EXPECT_EQ(SketchOf(derived, "winograd_panel_inner").ToString(), R"(sketch/1 winograd_panel_inner
hole group in 8, 16, 32, 64
hole strip in 1, 2, 4, 7, 14, 28
hole width in 8, 16, 24, 32, 48
hole depth in 1, 2, 4, 8, 16
hole rows in 1, 2, 3, 4, 5, 6, 7, 10, 14
require floordiv(width,8)*rows+floordiv(width,8)+1<=16
require 7<=floordiv(width,8)*rows
require floordiv(width,8)*rows*depth<=128
schedule/1
layout x 0,1/8,2,3,1%8
layout y 0,1/8,2,3,1%8
winograd c h 2
winograd c.m w 2
inline c
inline c.m
prepare c.g
prepare c.m.g
layout c.d 0,1,2/8,3,4,2%8
layout c.m.d 0,1,2,3/8,4,5,3%8
layout c.m.m 0,1,2,3/8,4,5,3%8
layout c.m.g 0,1,2/8,3,2%8
tile c.m.g d1 8
reorder c.m.g d1.0 d2 d0 w.k d1.1
unroll c.m.g w.k
vectorize c.m.g d1.1
layout c.g 0,2,3,1
at c.g c.m.g d2
reorder c.g d1 d3 h.k d0
unroll c.g h.k
vectorize c.g d0
tile y o ?group
tile y o.1 8
tile y h 2
tile y h.0 ?strip
tile y w 2
reorder y n h.0.0 o.0 o.1.0 h.0.1 w.0 h.1 w.1 o.1.1
unroll y h.1
unroll y w.1
vectorize y o.1.1
fuse y n h.0.0
parallel y n_h.0.0
accumulate c.m.m
at c.m.m y o.0
tile c.m.d d2 8
reorder c.m.d d1 d2.0 d3 d4 d0 w.k d2.1
unroll c.m.d w.k
vectorize c.m.d d2.1
reorder c.d d0 d2 d3 h.k d1
unroll c.d h.k
vectorize c.d d1
at c.d c.m.d d3
tile c.m.m o ?width by 8
tile c.m.m w ?rows
reorder c.m.m w.k h.k n h w.0 o.0 w.1 o.1
unroll c.m.m w.1
vectorize c.m.m o.1
at c.m.m.a c.m.m o.0
tile c.m.m.a i ?depth
reorder c.m.m.a i.0 i.1 w.k h.k n h w o
vectorize c.m.m.a o
microkernel c.m.m.a i.1
at c.m.d y n_h.0.0
)");
  EXPECT_EQ(SketchOf(derived, "winograd_groups_panel_inner").name(), "winograd_groups_panel_inner");
}

// The names of what is derived of x[m,k] * w[k,n] by Strassen's algorithm.
std::set<std::string> StrassenSketches(int64_t m, int64_t n, int64_t k, Numerics numerics,
                                       int threads) {
  const std::string text = absl::StrCat(
      "workload/1\ninput x f32 [", m, ",", k, "]\nconstant w f32 [", k, ",", n, "]\noutput y f32 [",
      m, ",", n, "]\nstage y f32 [m:", m, ",n:", n, "] sum [k:", k, "] = x[m,k]*w[k,n]\n");
  auto sketches = DeriveSketches(*Workload::Parse(text), {L("0,1"), L("0,1"), L("0,1")},
                                 Avx2(threads), numerics);
  EXPECT_TRUE(sketches.ok()) << sketches.status();
  std::set<std::string> names;
  for (const Sketch& sketch : *sketches) {
    if (sketch.name().rfind("strassen", 0) == 0) names.insert(sketch.name());
  }
  return names;
}

TEST(DeriveTest, StrassenIsForLargeProducts) {
  EXPECT_THAT(StrassenSketches(384, 768, 768, Numerics::kFp32, 1),
              testing::UnorderedElementsAre("strassen_panel_outer", "strassen_panel_inner",
                                            "strassen_row_blocks"));
  EXPECT_THAT(StrassenSketches(384, 768, 768, Numerics::kFast, 2),
              testing::Contains("strassen_groups_panel_outer"));
  EXPECT_THAT(StrassenSketches(384, 768, 768, Numerics::kStrict, 1), testing::IsEmpty());
  EXPECT_THAT(StrassenSketches(384, 768, 128, Numerics::kFp32, 1), testing::IsEmpty());
  EXPECT_THAT(StrassenSketches(384, 128, 768, Numerics::kFp32, 1), testing::IsEmpty());
  EXPECT_THAT(StrassenSketches(32, 768, 768, Numerics::kFp32, 1), testing::IsEmpty());
  EXPECT_THAT(StrassenSketches(383, 768, 768, Numerics::kFp32, 1), testing::IsEmpty())
      << "an odd number of rows";
}

TEST(DeriveTest, WinogradIsForStrideOneAndBlockedChannels) {
  for (const char* name : {"plain_convolution", "first_convolution", "depthwise", "matmul"}) {
    for (const Sketch& sketch : Derive(CaseOf(name), Avx2()).sketches) {
      EXPECT_EQ(sketch.name().rfind("winograd", 0), std::string::npos) << name;
    }
  }
}

std::set<std::string> WinogradSketches(Numerics numerics, int threads) {
  const Case& c = CaseOf("convolution");
  auto sketches =
      DeriveSketches(*Workload::Parse(c.workload), {L(kBlocked), L("0,1,2,3"), L("0"), L(kBlocked)},
                     Avx2(threads), numerics);
  EXPECT_TRUE(sketches.ok()) << sketches.status();
  std::set<std::string> names;
  for (const Sketch& sketch : *sketches) {
    if (sketch.name().rfind("winograd", 0) == 0) names.insert(sketch.name());
  }
  return names;
}

TEST(DeriveTest, WinogradsTilesAreThoseOfTheNumericsClass) {
  EXPECT_THAT(WinogradSketches(Numerics::kStrict, 1), testing::IsEmpty());
  EXPECT_THAT(WinogradSketches(Numerics::kFp32, 1),
              testing::AllOf(testing::Contains("winograd_panel_inner"),
                             testing::Each(testing::StartsWith("winograd_"))));
  EXPECT_THAT(WinogradSketches(Numerics::kFast, 2),
              testing::IsSupersetOf({"winograd_panel_inner", "winograd_groups_panel_inner",
                                     "winograd4_panel_inner", "winograd4_groups_panel_inner"}));
}

TEST(DeriveTest, NothingIsDerivedOfAClassThatNoRuleKnows) {
  const Case& c = CaseOf("elementwise");
  const std::vector<Layout> layouts(3, L("0,1/8,2,1%8"));
  EXPECT_TRUE(absl::IsUnimplemented(
      DeriveSketches(*Workload::Parse(c.workload), layouts, Avx2(), Numerics::kBf16).status()));
}

TEST(DeriveTest, MatmulPacksItsConstantAndKeepsAccumulatorsApart) {
  const Derived derived = Derive(CaseOf("matmul"), Avx2(2));
  EXPECT_EQ(SketchOf(derived, "panel_inner").ToString(), R"(sketch/1 panel_inner
hole width in 8, 16, 24, 32, 48
hole depth in 1, 2, 4, 8, 16
hole rows in 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14
require floordiv(width,8)*rows+floordiv(width,8)+1<=16
require 7<=floordiv(width,8)*rows
require floordiv(width,8)*rows*depth<=128
schedule/1
accumulate y
cache w y.a
layout w@y.a 1/?width,0/?depth,0%?depth,1%?width
prepare w@y.a
tile y n ?width by 8
tile y m ?rows
reorder y m.0 n.0 m.1 n.1
unroll y m.1
vectorize y n.1
parallel y m.0
at y.a y n.0
tile y.a k ?depth
reorder y.a k.0 k.1 m n
vectorize y.a n
microkernel y.a k.1
)");
}

TEST(DeriveTest, WeightsThatGoByOnceForFewRowsAreReadAtSeveralPlaces) {
  const auto has_panels = [](int rows) {
    const Derived derived = Derive(
        {"product",
         absl::StrCat("workload/1\ninput x f32 [", rows, ",2048]\nconstant w f32 [2048,512]\n",
                      "output y f32 [", rows, ",512]\nstage y f32 [m:", rows,
                      ",n:512] sum [k:2048] = x[m,k]*w[k,n]\n"),
         {"", "", ""}},
        Avx2());
    const std::string text = SketchOf(derived, "panel_outer").ToString();
    return absl::StrContains(text, "layout w@y.a 1/?panel,0/?depth,0%?depth,1%?panel");
  };
  EXPECT_TRUE(has_panels(1));
  EXPECT_TRUE(has_panels(8));
  EXPECT_FALSE(has_panels(9));
}

TEST(DeriveTest, ProloguesAreComputedWhereTheirRowsAreRead) {
  const Derived derived =
      Derive({"prologue",
              "workload/1\ninput x f32 [64,96]\nconstant s f32 [96]\nconstant w f32 [96,128]\n"
              "output y f32 [64,128]\nstage t f32 [m:64,k:96] = max(x[m,k]*s[k],0x0p+0)\n"
              "stage c f32 [m:64,n:128] sum [k:96] = t[m,k]*w[k,n]\n"
              "stage y f32 [m:64,n:128] = c[m,n]\n",
              {"", "", "", ""}},
             Avx2());
  const std::string text = SketchOf(derived, "panel_inner_prologue_rows").ToString();
  EXPECT_TRUE(absl::StrContains(text, "vectorize t k.1\n")) << text;
  EXPECT_TRUE(absl::StrContains(text, "at t y m.0\n")) << text;
  EXPECT_TRUE(absl::StrContains(text, "prepare w@c\n")) << text;
}

// Scaled weights are weights.
TEST(DeriveTest, ProloguesOfConstantsAreComputedAhead) {
  const Derived derived =
      Derive({"scaled_weights",
              "workload/1\ninput x f32 [64,96]\nconstant s f32 [96]\nconstant w f32 [96,128]\n"
              "output y f32 [64,128]\nstage t f32 [k:96,n:128] = w[k,n]*s[k]\n"
              "stage c f32 [m:64,n:128] sum [k:96] = x[m,k]*t[k,n]\n"
              "stage y f32 [m:64,n:128] = c[m,n]\n",
              {"", "", "", ""}},
             Avx2());
  const std::string text = SketchOf(derived, "panel_inner").ToString();
  EXPECT_TRUE(absl::StrContains(text, "prepare t\n")) << text;
  EXPECT_TRUE(absl::StrContains(text, "prepare t@c\n")) << text;
}

TEST(DeriveTest, AnOperandThatManyRowsReadCanBePackedWhileRunning) {
  const auto packs = [](int rows, absl::string_view role) {
    const Derived derived = Derive(
        {"product",
         absl::StrCat("workload/1\ninput x f32 [4,", rows, ",64]\n", role,
                      " w f32 [4,64,96]\noutput y f32 [4,", rows, ",96]\nstage y f32 [b:4,m:", rows,
                      ",n:96] sum [k:64] = x[b,m,k]*w[b,k,n]\n"),
         {"", "", ""}},
        Avx2());
    return std::any_of(derived.sketches.begin(), derived.sketches.end(),
                       [](const Sketch& sketch) { return absl::EndsWith(sketch.name(), "_pack"); });
  };
  EXPECT_TRUE(packs(128, "input"));
  EXPECT_FALSE(packs(8, "input"));
  EXPECT_FALSE(packs(128, "constant"));  // packed ahead in any case
}

TEST(DeriveTest, RegisterTilesFitTheTarget) {
  const Derived derived = Derive(CaseOf("convolution"), Avx2());
  const Sketch& sketch = SketchOf(derived, "panel_outer");
  for (const Assignment& assignment : SomeAssignments(sketch, 1000)) {
    const std::string text = sketch.Describe(assignment);
    int width = 0, depth = 0, rows = 0;
    ASSERT_EQ(std::sscanf(text.c_str(), "width=%d depth=%d rows=%d", &width, &depth, &rows), 3);
    EXPECT_LE(width / 8 * rows + width / 8 + 1, 16);
    EXPECT_LE(width / 8 * rows * depth, 256);
  }
}

TEST(DeriveTest, WinogradIsNotForWeightsOfRunTimeSize) {
  auto workload = Workload::Parse(
      "workload/1\nparam M 0..8\ninput x f32 [1,11,7,13]\nconstant w f32 [M,11,2,3]\n"
      "output y f32 [1,M,8,18]\nstage y f32 [n:1,o:M,h:8,w:18] sum [i:11,p:2,q:3] = "
      "x[n,i,h+p+-1,w+q+-3 else 0x0p+0]*w[o,i,p,q]\n");
  ASSERT_TRUE(workload.ok()) << workload.status();
  const Layout blocked = L(kBlocked);
  const auto sketches =
      DeriveSketches(*workload, {blocked, L("0,1,2,3"), blocked}, Avx2(), Numerics::kFast);
  ASSERT_TRUE(sketches.ok()) << sketches.status();
  for (const Sketch& sketch : *sketches) {
    EXPECT_NE(sketch.name().rfind("winograd", 0), 0) << sketch.name();
  }
}

TEST(DeriveTest, RefusesLayoutsThatDoNotFit) {
  auto workload = Workload::Parse(kConvolution);
  EXPECT_FALSE(DeriveSketches(*workload, {}, Avx2()).ok());
}

}  // namespace
}  // namespace hone

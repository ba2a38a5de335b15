// Which sizes of tiles are left open, and that nothing else changes.
#include "compiler/schedule/open_blocks.h"

#include <gtest/gtest.h>

#include <string>

#include "compiler/ir/workload.h"

namespace hone {
namespace {

constexpr char kConvolution[] =
    "workload/1\ninput x f32 [1,16,20,9]\nconstant w f32 [24,16,3,3]\noutput y f32 [1,24,20,9]\n"
    "stage c f32 [n:1,o:24,h:20,w:9] sum [i:16,p:3,q:3] = "
    "x[n,i,h+p+-1,w+q+-1 else 0x0p+0]*w[o,i,p,q]\n"
    "stage y f32 [n:1,o:24,h:20,w:9] = max(c[n,o,h,w],0x0p+0)\n";

std::string Steps(const std::string& rows, const std::string& blocks) {
  return "schedule/1\ncache w c\nprepare w@c\ntile w@c d0 8\ntile y o 8 by 8\ntile y w 4\n" + rows +
         blocks +
         "reorder y n h.0.0 o.0 h.0.1 w.0 h.1 w.1 o.1\nunroll y h.1\nunroll y w.1\n"
         "vectorize y o.1\nat c y w.0\ntile c i 4\nreorder c i.0 p q i.1 n h w o\n"
         "vectorize c o\nmicrokernel c i.1\n";
}

std::optional<OpenSchedule> Open(const std::string& schedule_text,
                                 const std::string& workload_text = kConvolution) {
  const auto workload = Workload::Parse(workload_text);
  const auto schedule = Schedule::Parse(schedule_text);
  EXPECT_TRUE(workload.ok() && schedule.ok()) << workload.status() << schedule.status();
  const auto nest = ApplySchedule(*schedule, *workload);
  EXPECT_TRUE(nest.ok()) << nest.status();
  return LeaveBlocksOpen(*schedule, *nest);
}

TEST(OpenBlocksTest, LeavesBlocksOfRegisterTilesOpenAndNothingElse) {
  const auto open = Open(Steps("tile y h 2\n", "tile y h.0 4\n"));
  ASSERT_TRUE(open.has_value());
  EXPECT_EQ(open->params, (std::map<std::string, int64_t>{{"y.h.0.size", 4}}));
  EXPECT_EQ(open->schedule.ToString(),
            Steps("tile y h 2\n", "param y.h.0.size 1..10\ntile y h.0 y.h.0.size\n"));
}

TEST(OpenBlocksTest, MakesOneOfSchedulesThatDifferInBlocksAlone) {
  const auto four = Open(Steps("tile y h 2\n", "tile y h.0 4\n"));
  const auto more = Open(Steps("tile y h 2\n", "tile y h.0 64\n"));
  const auto flat = Open(Steps("tile y h 1\n", "tile y h.0 4\n"));
  ASSERT_TRUE(four && more && flat);
  EXPECT_EQ(four->schedule, more->schedule);
  EXPECT_EQ(more->params.at("y.h.0.size"), 10) << "all there are";
  EXPECT_NE(four->schedule, flat->schedule);
}

TEST(OpenBlocksTest, FindsNothingToOpenWhereThreadsShareOrSizesAreOpenAlready) {
  EXPECT_FALSE(
      Open("schedule/1\ntile y h 4\nreorder y n h.0 o h.1 w\nfuse y n h.0\nparallel y n_h.0\n"));
  EXPECT_FALSE(Open("schedule/1\ntile y m 4\n",
                    "workload/1\nparam M 0..64\ninput x f32 [M]\noutput y f32 [M]\n"
                    "stage y f32 [m:M] = x[m]\n"));
}

TEST(OpenBlocksTest, LeavesWhatTilesOfAMatrixUnitSpanAsItIs) {
  const std::string workload =
      "workload/1\ninput x bf16 [256,64]\nconstant w bf16 [64,32]\noutput y f32 [256,32]\n"
      "stage c f32 [m:256,n:32] sum [k:64] = f32(x[m,k])*f32(w[k,n])\n"
      "stage y f32 [m:256,n:32] = max(c[m,n],0x0p+0)\n";
  const auto steps = [](const std::string& blocks) {
    return "schedule/1\ncache x c\ncache w c\nlayout x@c 1/32,0,1%32\n"
           "layout w@c 1/16,0/2,1%16,0%2\nprepare w@c\n" +
           blocks +
           "vectorize y n\nlayout c 0,1\nat c y m.1.0\ntile c k 32\nreorder c k.0 k.1 m n\n"
           "tensorize c k.1 tdpbf16ps\n";
  };
  const std::string tiles = "tile y m 64\ntile y m.1 32\nreorder y m.0 m.1.0 m.1.1 n\n";
  EXPECT_FALSE(Open(steps(tiles), workload));
}

TEST(OpenBlocksTest, GivesAScheduleThatApplies) {
  const auto open = Open(Steps("tile y h 2\n", "tile y h.0 4\n"));
  const auto nest = ApplySchedule(open->schedule, *Workload::Parse(kConvolution));
  ASSERT_TRUE(nest.ok()) << nest.status();
  ASSERT_EQ(nest->params.size(), 1u);
  EXPECT_EQ(nest->params[0].max, 10);
  EXPECT_EQ(*Schedule::Parse(open->schedule.ToString()), open->schedule);
}

}  // namespace
}  // namespace hone

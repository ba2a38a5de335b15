#include "compiler/ir/workload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hone {
namespace {

using testing::HasSubstr;

constexpr char kConvolution[] =
    "workload/1\n"
    "input x f32 [1,64,56,56]\n"
    "constant w f32 [64,64,3,3]\n"
    "constant b f32 [64]\n"
    "output y f32 [1,64,56,56]\n"
    "stage c f32 [n:1,o:64,h:56,w:56] sum [i:64,p:3,q:3] = "
    "x[n,i,h*2+p+-1,w*2+q+-1 else 0x0p+0]*w[o,i,p,q]\n"
    "stage y f32 [n:1,o:64,h:56,w:56] = max(c[n,o,h,w]+b[o],0x0p+0)\n";

std::string ErrorOf(absl::string_view text) {
  return std::string(Workload::Parse(text).status().message());
}

TEST(WorkloadTest, PrintsWhatItParsed) {
  auto workload = Workload::Parse(kConvolution);
  ASSERT_TRUE(workload.ok()) << workload.status();
  EXPECT_EQ(workload->ToString(), kConvolution);
}

TEST(WorkloadTest, CountsMultiplyAddsAsTwo) {
  auto workload = Workload::Parse(kConvolution);
  ASSERT_TRUE(workload.ok());
  EXPECT_EQ(FlopCount(*workload), 2.0 * 64 * 64 * 56 * 56 * 9 + 2.0 * 64 * 56 * 56);
}

TEST(WorkloadTest, HasExtentsThatAreParameters) {
  constexpr char kText[] =
      "workload/1\n"
      "param M 1..512\n"
      "input a f32 [M,8]\n"
      "output y f32 [M,8]\n"
      "stage y f32 [m:M,n:8] = exp(a[m,n])\n";
  auto workload = Workload::Parse(kText);
  ASSERT_TRUE(workload.ok()) << workload.status();
  EXPECT_EQ(workload->ToString(), kText);
  EXPECT_EQ(ArgumentBytes(*workload), 2 * 512 * 8 * 4);
}

TEST(WorkloadTest, SaysWhereAndWhatIsWrong) {
  EXPECT_THAT(ErrorOf("workload/9\n"), HasSubstr("workload:1:9"));
  EXPECT_THAT(ErrorOf("workload/1\ninput x f33 [1]\n"), HasSubstr("'f33' is not an element type"));
  EXPECT_THAT(ErrorOf("workload/1\noutput y f32 [2]\nstage y f32 [n:2] = z[n]\n"),
              HasSubstr("there is no buffer or earlier stage 'z'"));
  EXPECT_THAT(ErrorOf("workload/1\noutput y f32 [2]\nstage y f32 [n:3] = 0x0p+0\n"),
              HasSubstr("does not fit its output buffer"));
  EXPECT_THAT(
      ErrorOf("workload/1\ninput x f32 [2]\noutput y f32 [2]\nstage y f32 [n:2] = x[n,n]\n"),
      HasSubstr("with 2 indices; it has 1"));
}

TEST(WorkloadTest, RefusesBottomlessNesting) {
  std::string text = "workload/1\noutput y f32 [2]\nstage y f32 [n:2] = ";
  text.append(100000, '(');
  EXPECT_THAT(ErrorOf(text), HasSubstr("nested too deeply"));
}

}  // namespace
}  // namespace hone

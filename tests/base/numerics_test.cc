#include "base/numerics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hone {
namespace {

using testing::HasSubstr;

constexpr Numerics kAll[] = {Numerics::kStrict, Numerics::kFp32, Numerics::kFast, Numerics::kBf16,
                             Numerics::kInt8};

Target TargetWith(std::vector<std::string> features) {
  Target target;
  target.cpu = "somecore";
  target.features = std::move(features);
  return target;
}

TEST(NumericsTest, ReadsWhatItPrints) {
  for (const Numerics numerics : kAll) {
    const StatusOr<Numerics> read = ParseNumerics(NumericsName(numerics));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(*read, numerics);
    EXPECT_FALSE(NumericsDescription(numerics).empty());
  }
}

TEST(NumericsTest, ListsTheClassesWhenItKnowsNone) {
  const Status status = ParseNumerics("fp23").status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_EQ(status.message(),
            "there is no numerics class 'fp23'; the classes are strict, fp32, fast, bf16, int8");
}

TEST(NumericsTest, AllowsMoreErrorAndLargerTilesFromClassToClass) {
  EXPECT_EQ(SequentialErrorFactor(Numerics::kStrict), 1.2);
  EXPECT_EQ(SequentialErrorFactor(Numerics::kFp32), 4);
  EXPECT_EQ(SequentialErrorFactor(Numerics::kFast), 64);
  EXPECT_EQ(WinogradTileMax(Numerics::kStrict), 0);
  EXPECT_EQ(WinogradTileMax(Numerics::kFp32), 2);
  EXPECT_EQ(WinogradTileMax(Numerics::kFast), 4);
  EXPECT_FALSE(AllowsStrassen(Numerics::kStrict));
  EXPECT_TRUE(AllowsStrassen(Numerics::kFp32));
  EXPECT_TRUE(AllowsStrassen(Numerics::kFast));
}

TEST(NumericsTest, EveryDeviceHasTheClassesOfFp32) {
  for (const Numerics numerics : {Numerics::kStrict, Numerics::kFp32, Numerics::kFast}) {
    EXPECT_TRUE(CheckNumerics(numerics, TargetWith({})).ok());
  }
}

TEST(NumericsTest, SaysWhatTheDeviceLacks) {
  const Status status = CheckNumerics(Numerics::kBf16, TargetWith({"avx2", "fma"}));
  EXPECT_TRUE(absl::IsUnimplemented(status));
  EXPECT_EQ(status.message(),
            "numerics bf16 needs one of the features amx-bf16, avx512bf16, bf16, and the device "
            "(somecore) has none; the classes that it has are strict, fp32, fast, int8");
  EXPECT_TRUE(CheckNumerics(Numerics::kBf16, TargetWith({"amx-bf16", "amx-tile"})).ok());
  EXPECT_TRUE(CheckNumerics(Numerics::kBf16, TargetWith({"avx512bf16"})).ok());
}

TEST(NumericsTest, EveryDeviceHasExactIntegers) {
  EXPECT_TRUE(CheckNumerics(Numerics::kInt8, TargetWith({})).ok());
  EXPECT_TRUE(CheckNumerics(Numerics::kInt8, TargetWith({"avx512vnni"})).ok());
}

}  // namespace
}  // namespace hone

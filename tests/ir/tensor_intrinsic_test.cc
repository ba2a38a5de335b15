// The table of tensor intrinsics agrees with the workloads that it declares.
#include "compiler/ir/tensor_intrinsic.h"

#include <gtest/gtest.h>

#include <string>

#include "compiler/ir/workload.h"

namespace hone {
namespace {

TEST(TensorIntrinsicTest, DeclaresEachInTheOrderOfNames) {
  std::string last;
  for (const TensorIntrinsic& intrinsic : TensorIntrinsics()) {
    EXPECT_LT(last, intrinsic.name);
    last = intrinsic.name;
    EXPECT_EQ(FindTensorIntrinsic(intrinsic.name), &intrinsic);
  }
}

TEST(TensorIntrinsicTest, DeclaresWorkloadsOfItsTypesAndGroups) {
  for (const TensorIntrinsic& intrinsic : TensorIntrinsics()) {
    SCOPED_TRACE(intrinsic.name);
    auto workload = Workload::Parse(intrinsic.workload);
    ASSERT_TRUE(workload.ok()) << workload.status();
    EXPECT_EQ(workload->DTypeOf("a"), intrinsic.left);
    EXPECT_EQ(workload->DTypeOf("b"), intrinsic.right);
    EXPECT_EQ(workload->DTypeOf("c"), intrinsic.result);
    if (!intrinsic.IsDot()) continue;
    EXPECT_TRUE(workload->ShapeOf("a").back().IsInt(intrinsic.group));
    EXPECT_TRUE(workload->ShapeOf("b").back().IsInt(intrinsic.group));
  }
}

TEST(TensorIntrinsicTest, SaysWhatATargetLacks) {
  Target target;
  target.cpu = "znver3";
  target.features = {"avx", "avx2"};
  EXPECT_TRUE(CheckTensorIntrinsic(target, *FindTensorIntrinsic("pmaddwd")).ok());
  EXPECT_EQ(CheckTensorIntrinsic(target, *FindTensorIntrinsic("vpdpbusd")).message(),
            "intrinsic vpdpbusd needs avx512vnni with avx512vl or avxvnni, which the target "
            "(znver3) does not have");
  EXPECT_EQ(CheckTensorIntrinsic(target, *FindTensorIntrinsic("sdot")).message(),
            "intrinsic sdot is one of aarch64, and the target is x86_64");
  target.features = {"avx2", "avxvnni"};
  EXPECT_TRUE(CheckTensorIntrinsic(target, *FindTensorIntrinsic("vpdpbusd")).ok());
}

TEST(TensorIntrinsicTest, RefusesANameItDoesNotHave) {
  EXPECT_EQ(TensorIntrinsicOrError("vpmadd").status().message(),
            "there is no intrinsic 'vpmadd'; there are pmaddwd, sdot, tdpbf16ps, "
            "tdpbssd, tdpbsud, tdpbusd, tdpbuud, udot, vdpbf16ps, vpdpbusd, "
            "vpdpwssd");
}

}  // namespace
}  // namespace hone

#include "compiler/package/memory_plan.h"

#include <algorithm>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/package/tiny_model.h"

namespace hone {
namespace {

using ::testing::HasSubstr;

TEST(PackArena, NeverOverlapsWhatIsAliveTogether) {
  for (int seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    std::vector<Lifetime> lifetimes(1 + random() % 60);
    for (Lifetime& lifetime : lifetimes) {
      lifetime.bytes = random() % 5 == 0 ? 0 : 1 + random() % 10000;
      lifetime.first = static_cast<int>(random() % 50);
      lifetime.last = lifetime.first + static_cast<int>(random() % 8);
    }
    const ArenaPlan plan = PackArena(lifetimes);
    int64_t total = 0;
    for (size_t i = 0; i < lifetimes.size(); ++i) {
      EXPECT_EQ(plan.offsets[i] % 64, 0);
      EXPECT_LE(plan.offsets[i] + lifetimes[i].bytes, plan.bytes);
      total += (lifetimes[i].bytes + 63) / 64 * 64;
      for (size_t j = 0; j < i; ++j) {
        const bool together =
            lifetimes[i].first <= lifetimes[j].last && lifetimes[j].first <= lifetimes[i].last;
        const bool apart = plan.offsets[i] + lifetimes[i].bytes <= plan.offsets[j] ||
                           plan.offsets[j] + lifetimes[j].bytes <= plan.offsets[i];
        EXPECT_TRUE(!together || apart) << "seed " << seed << ": " << i << " and " << j;
      }
    }
    EXPECT_LE(plan.bytes, total) << "seed " << seed;
  }
}

TEST(PackArena, ReusesMemoryAlongAChain) {
  std::vector<Lifetime> chain;
  for (int i = 0; i < 50; ++i) chain.push_back({.bytes = 6400, .first = i, .last = i + 1});
  EXPECT_EQ(PackArena(chain).bytes, 2 * 6400);
}

TEST(PlanMemory, PlacesTensorsByWhatTheyAre) {
  const StatusOr<MemoryPlan> plan = PlanMemory(TinyPlan());
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->tensors[0].place, Place::kInput);
  EXPECT_EQ(plan->tensors[1].place, Place::kConstant);
  EXPECT_EQ(plan->tensors[3].place, Place::kArena);
  EXPECT_EQ(plan->tensors[6].place, Place::kOutput);
  // t2 is delivered as `flat`, so it is computed there at once.
  EXPECT_EQ(plan->tensors[5].place, Place::kOutput);
  EXPECT_EQ(plan->tensors[5].index, 1);
  EXPECT_EQ(plan->tensors[7].index, 1);
  EXPECT_EQ(plan->arena_bytes, 2 * 128);
  // x is delivered as it came.
  ASSERT_EQ(plan->copies.size(), 1u);
  EXPECT_EQ(plan->copies[0].output, 2);
  EXPECT_EQ(plan->copies[0].tensor, 0);
}

TEST(PlanMemory, KeepsAWholeAliveWhileAPartIs) {
  // Two halves of `whole` are written in steps 0 and 1 and the second is read last, in step 3.
  ModelPlan plan;
  const auto add = [&](const char* name, int64_t extent, TensorKind kind, int part_of,
                       int64_t offset) {
    PlanTensor tensor;
    tensor.name = name;
    tensor.shape = {extent};
    tensor.layout = Layout::Identity(1);
    tensor.kind = kind;
    tensor.part_of = part_of;
    tensor.part_offset_bytes = offset;
    plan.tensors.push_back(tensor);
  };
  add("x", 16, TensorKind::kInput, -1, 0);
  add("whole", 32, TensorKind::kLocal, -1, 0);
  add("left", 16, TensorKind::kLocal, 1, 0);
  add("right", 16, TensorKind::kLocal, 1, 64);
  add("between", 16, TensorKind::kLocal, -1, 0);
  add("y", 16, TensorKind::kOutput, -1, 0);
  plan.calls = {
      {.tensors = {0, 2}}, {.tensors = {0, 3}}, {.tensors = {2, 4}}, {.tensors = {3, 4, 5}}};
  plan.inputs = {0};
  plan.outputs = {5};
  const StatusOr<MemoryPlan> memory = PlanMemory(plan);
  ASSERT_TRUE(memory.ok()) << memory.status();
  EXPECT_EQ(memory->tensors[3].offset, memory->tensors[2].offset + 64);
  EXPECT_EQ(memory->arena_bytes, 128 + 64);

  plan.tensors[3].part_offset_bytes = 32;
  EXPECT_THAT(PlanMemory(plan).status().message(), HasSubstr("no multiple of 64"));
  plan.tensors[3].part_offset_bytes = 128;
  EXPECT_THAT(PlanMemory(plan).status().message(), HasSubstr("reaches beyond 'whole'"));
}

}  // namespace
}  // namespace hone

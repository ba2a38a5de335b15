#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "absl/strings/str_cat.h"
#include "db/memory_record_store.h"
#include "tuner/space/derive.h"
#include "tuner/transfer/recorded_knowledge.h"
#include "tuner/transfer/workload_likeness.h"

namespace hone {
namespace {

using testing::HasSubstr;

constexpr int kEpoch = 1;

Target Avx2(int threads = 1) {
  Target target;
  target.features = {"avx", "avx2", "fma"};
  target.threads = threads;
  return target;
}

std::string Matmul(int m, int n, int k, const std::string& epilogue = "max(c[m,n],0x0p+0)") {
  const std::string dims = absl::StrCat("[m:", m, ",n:", n, "]");
  return absl::StrCat("workload/1\ninput x f32 [", m, ",", k, "]\nconstant w f32 [", k, ",", n,
                      "]\noutput y f32 [", m, ",", n, "]\nstage c f32 ", dims, " sum [k:", k,
                      "] = x[m,k]*w[k,n]\nstage y f32 ", dims, " = ", epilogue, "\n");
}

RecordKey KeyOf(const std::string& workload, const Target& target = Avx2()) {
  return {Workload::Parse(workload)->Key(), target.ToString(), "fp32", kEpoch};
}

std::vector<EstimatedCandidate> CandidatesOf(const std::string& text) {
  const Workload workload = *Workload::Parse(text);
  const std::vector<Sketch> sketches =
      *DeriveSketches(workload, std::vector<Layout>(3, Layout::Identity(2)), Avx2());
  return EstimateCandidates(workload, sketches, Avx2(), MachineProfile::For(Avx2()), 200);
}

pb::Record RecordOf(const std::string& workload, const std::string& schedule, double cost_ns,
                    const Target& target = Avx2()) {
  pb::Record record;
  record.set_workload(workload);
  record.set_workload_key(Workload::Parse(workload)->Key());
  record.set_target(target.ToString());
  record.set_numerics("fp32");
  record.set_codegen_epoch(kEpoch);
  record.set_schedule(schedule);
  record.mutable_measurement()->set_cost_ns(cost_ns);
  return record;
}

TEST(WorkloadLikenessTest, ExtentsTellLikeWorkloadsApart) {
  const WorkloadOutline a = OutlineOf(Matmul(64, 64, 64));
  EXPECT_EQ(DistanceBetween(a, a), 0);
  const double near = *DistanceBetween(a, OutlineOf(Matmul(64, 64, 128)));
  const double far = *DistanceBetween(a, OutlineOf(Matmul(64, 512, 512)));
  EXPECT_GT(near, 0);
  EXPECT_GT(far, near);
  EXPECT_EQ(far, *DistanceBetween(OutlineOf(Matmul(64, 512, 512)), a));
}

TEST(WorkloadLikenessTest, AnotherEpilogueIsALittleFurtherAway) {
  const WorkloadOutline a = OutlineOf(Matmul(64, 64, 64));
  EXPECT_EQ(DistanceBetween(a, OutlineOf(Matmul(64, 64, 64, "c[m,n]+0x1p+0"))), kOtherEpilogue);
}

TEST(WorkloadLikenessTest, OtherIndexMapsAreNotAlike) {
  const std::string strided =
      "workload/1\ninput x f32 [1,8,9]\nconstant w f32 [8,8,3]\noutput y f32 [1,8,4]\n"
      "stage y f32 [n:1,o:8,w:4] sum [i:8,p:3] = x[n,i,w*2+p]*w[o,i,p]\n";
  const std::string dense =
      "workload/1\ninput x f32 [1,8,9]\nconstant w f32 [8,8,3]\noutput y f32 [1,8,7]\n"
      "stage y f32 [n:1,o:8,w:7] sum [i:8,p:3] = x[n,i,w+p]*w[o,i,p]\n";
  EXPECT_EQ(DistanceBetween(OutlineOf(strided), OutlineOf(dense)), std::nullopt);
  EXPECT_EQ(DistanceBetween(OutlineOf(strided), OutlineOf(Matmul(8, 8, 8))), std::nullopt);
}

TEST(RecordedKnowledgeTest, MakesRowsOfEveryWorkloadAndDeviceCentredWithinEach) {
  MemoryRecordStore store;
  const std::string small = Matmul(64, 64, 64);
  const std::string large = Matmul(256, 256, 256);
  std::vector<pb::Record> records;
  for (const std::string& workload : {small, large}) {
    const std::vector<EstimatedCandidate> candidates = CandidatesOf(workload);
    for (int c = 0; c < 9; ++c) {
      // Everything takes three times as long as expected, and one candidate 30 % more.
      const double cost_ns = candidates[c].cost.total_ns * (c == 4 ? 3.9 : 3);
      records.push_back(
          RecordOf(workload, candidates[c].schedule, cost_ns, Avx2(workload == small ? 1 : 2)));
    }
  }
  records.push_back(RecordOf(small, "schedule/1\ntile y nothing 4\n", 1));
  ASSERT_TRUE(store.Append(records).ok());
  const auto knowledge = RecordedKnowledge::Read(store, kEpoch);
  ASSERT_TRUE(knowledge.ok()) << knowledge.status();
  const TrainingSet rows = knowledge->Rows(100);
  ASSERT_EQ(rows.size(), 18u) << "a schedule that cannot be applied is left out";
  int slow = 0;
  for (float residual : rows.residuals) slow += std::abs(residual - std::log(1.3)) < 1e-3;
  EXPECT_GE(slow, 1);
  EXPECT_LE(knowledge->Rows(7).size(), 7u);
  const auto other_epoch = RecordedKnowledge::Read(store, kEpoch + 1);
  ASSERT_TRUE(other_epoch.ok());
  EXPECT_EQ(other_epoch->Rows(100).size(), 0u);
}

TEST(RecordedKnowledgeTest, AdvisesWhatWasBestNearbyAndOnOtherDevices) {
  MemoryRecordStore store;
  const std::string mine = Matmul(64, 64, 64);
  ASSERT_TRUE(store
                  .Append({RecordOf(mine, "mine on two threads, slow", 20, Avx2(2)),
                           RecordOf(mine, "mine on two threads", 10, Avx2(2)),
                           RecordOf(Matmul(64, 512, 512), "far", 10),
                           RecordOf(Matmul(64, 64, 128), "near", 10),
                           RecordOf(Matmul(64, 64, 128), "near, slow", 20),
                           RecordOf(Matmul(64, 64, 128), "near on two threads", 10, Avx2(2))})
                  .ok());
  const auto knowledge = RecordedKnowledge::Read(store, kEpoch);
  ASSERT_TRUE(knowledge.ok());
  std::vector<std::string> advice;
  for (const Advice& each : knowledge->AdviceFor(KeyOf(mine), mine, "", false)) {
    advice.push_back(absl::StrCat(each.origin, ": ", each.schedule));
  }
  EXPECT_THAT(advice, testing::ElementsAre("other device: mine on two threads", "neighbour: near",
                                           "neighbour: far"));
  RecordKey strict = KeyOf(mine);
  strict.numerics = "strict";
  EXPECT_TRUE(knowledge->AdviceFor(strict, mine, "", false).empty());
}

TEST(RecordedKnowledgeTest, LearnsFromTheSessionItself) {
  RecordedKnowledge knowledge;
  const std::string near = Matmul(64, 64, 128);
  knowledge.Add(KeyOf(near), near, "", false, "found just now", 10);
  const std::string mine = Matmul(64, 64, 64);
  const std::vector<Advice> advice = knowledge.AdviceFor(KeyOf(mine), mine, "", false);
  ASSERT_EQ(advice.size(), 1u);
  EXPECT_EQ(advice[0].schedule, "found just now");
}

// The schedules that are advised, in their order.
std::vector<std::string> AdvisedBy(const RecordedKnowledge& knowledge, const std::string& workload,
                                   bool cold_constants) {
  std::vector<std::string> schedules;
  for (const Advice& each : knowledge.AdviceFor(KeyOf(workload), workload, "", cold_constants)) {
    schedules.push_back(each.schedule);
  }
  return schedules;
}

TEST(RecordedKnowledgeTest, WhatTheDuelCorrectedIsAdvisedNoMore) {
  RecordedKnowledge knowledge;
  const std::string near = Matmul(64, 64, 128);
  knowledge.Add(KeyOf(near), near, "", false, "lucky", 10);
  knowledge.Add(KeyOf(near), near, "", false, "best of the duel", 12);
  EXPECT_THAT(AdvisedBy(knowledge, Matmul(64, 64, 64), false),
              testing::ElementsAre("best of the duel"));
}

TEST(RecordedKnowledgeTest, FinalistsAreBelievedBeforeLuckierRecords) {
  MemoryRecordStore store;
  const std::string near = Matmul(64, 64, 128);
  pb::Record finalist = RecordOf(near, "best of the duel", 12);
  finalist.mutable_measurement()->set_finalist(true);
  ASSERT_TRUE(store.Append({RecordOf(near, "lucky", 10), finalist}).ok());
  const auto knowledge = RecordedKnowledge::Read(store, kEpoch);
  ASSERT_TRUE(knowledge.ok()) << knowledge.status();
  EXPECT_THAT(AdvisedBy(*knowledge, Matmul(64, 64, 64), false),
              testing::ElementsAre("best of the duel"));
}

TEST(RecordedKnowledgeTest, ANeighbourIsAskedOnceByTheConstantsThatAreWanted) {
  RecordedKnowledge knowledge;
  for (const int k : {128, 256, 512, 1024, 2048}) {
    const std::string neighbour = Matmul(64, 64, k);
    knowledge.Add(KeyOf(neighbour), neighbour, "", false, absl::StrCat("warm ", k), 10);
    knowledge.Add(KeyOf(neighbour), neighbour, "", true, absl::StrCat("cold ", k), 20);
  }
  const std::string mine = Matmul(64, 64, 64);
  EXPECT_THAT(AdvisedBy(knowledge, mine, false),
              testing::ElementsAre("warm 128", "warm 256", "warm 512", "warm 1024"));
  EXPECT_THAT(AdvisedBy(knowledge, mine, true),
              testing::ElementsAre("cold 128", "cold 256", "cold 512", "cold 1024"));
}

TEST(RecordedKnowledgeTest, OneOtherDeviceLeavesRoomForNeighbours) {
  RecordedKnowledge knowledge;
  const std::string mine = Matmul(64, 64, 64);
  for (const int threads : {2, 3, 4}) {
    const RecordKey key = KeyOf(mine, Avx2(threads));
    knowledge.Add(key, mine, "", false, absl::StrCat("warm on ", threads), 10);
    knowledge.Add(key, mine, "", true, absl::StrCat("cold on ", threads), 10);
  }
  const std::string near = Matmul(64, 64, 128);
  knowledge.Add(KeyOf(near), near, "", false, "near", 10);
  EXPECT_THAT(AdvisedBy(knowledge, mine, false), testing::ElementsAre("warm on 2", "near"));
  EXPECT_THAT(AdvisedBy(knowledge, mine, true), testing::ElementsAre("cold on 2", "near"));
}

}  // namespace
}  // namespace hone

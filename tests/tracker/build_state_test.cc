#include "tracker/build_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "rpc/build_key.h"

namespace hone {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kSecond = 1'000'000'000;

pb::CompilerVersion Version(int epoch = 3) {
  pb::CompilerVersion version;
  version.set_tool_version("1.0");
  version.set_codegen_epoch(epoch);
  return version;
}

pb::BuildRequest Request(const std::string& schedule) {
  pb::BuildRequest request;
  request.set_workload("w");
  request.set_schedule(schedule);
  request.set_target("t");
  return request;
}

std::string Key(const std::string& schedule) { return BuildKey(Request(schedule), Version()); }

class BuildStateTest : public ::testing::Test {
 protected:
  Status Ask(const std::string& user, std::initializer_list<const char*> schedules, int epoch = 3) {
    pb::BuildsRequest request;
    request.set_user(user);
    *request.mutable_version() = Version(epoch);
    for (const char* schedule : schedules) *request.add_builds() = Request(schedule);
    return state_.Ask(request, now_ns_);
  }
  // Schedules that the builder is given beside what it holds.
  std::vector<std::string> Work(const std::string& name, int capacity,
                                std::initializer_list<const char*> held = {},
                                std::initializer_list<const char*> finished = {},
                                pb::FailureKind failure = pb::OK, uint64_t boot = 1,
                                int epoch = 3) {
    pb::BuilderState state;
    state.set_builder(name);
    state.set_boot(boot);
    state.set_capacity(capacity);
    *state.mutable_version() = Version(epoch);
    for (const char* schedule : held) state.add_held(Key(schedule));
    for (const char* schedule : finished) {
      pb::BuiltReply& built = *state.add_finished();
      built.set_key(Key(schedule));
      if (failure == pb::OK) {
        built.mutable_reply()->mutable_artifact()->set_code_digest(schedule);
      } else {
        built.mutable_reply()->mutable_failure()->set_failure(failure);
      }
    }
    status_ = state_.TakeState(state, now_ns_);
    std::vector<std::string> schedules;
    if (!status_.ok()) return schedules;
    for (const pb::BuildGrant& grant : state_.GrantsOf(name, now_ns_)) {
      EXPECT_EQ(grant.key(), Key(grant.request().schedule()));
      schedules.push_back(grant.request().schedule());
    }
    std::sort(schedules.begin(), schedules.end());
    return schedules;
  }
  pb::BuildsReply Done(const std::string& schedule) { return state_.DoneOf({Key(schedule)}); }

  int64_t now_ns_ = 100 * kSecond;
  BuildState state_{BuildLimits()};
  Status status_;
};

TEST_F(BuildStateTest, GivesABuildToABuilderAndItsArtifactToWhoAsked) {
  Work("rack", 1);
  ASSERT_TRUE(Ask("ada", {"a"}).ok());
  EXPECT_THAT(Done("a").done(), IsEmpty());
  EXPECT_THAT(Work("rack", 1), ElementsAre("a"));
  EXPECT_THAT(Work("rack", 1, {"a"}), IsEmpty()) << "it has it";
  Work("rack", 1, {"a"}, {"a"});
  ASSERT_EQ(Done("a").done_size(), 1);
  EXPECT_EQ(Done("a").done(0).reply().artifact().code_digest(), "a");
}

TEST_F(BuildStateTest, RepeatsWhatTheBuilderMayNotHaveHeard) {
  Work("rack", 1);
  ASSERT_TRUE(Ask("ada", {"a"}).ok());
  EXPECT_THAT(Work("rack", 1), ElementsAre("a"));
  EXPECT_THAT(Work("rack", 1), ElementsAre("a"));
}

TEST_F(BuildStateTest, BuildsTheSameOnceWhoeverAsks) {
  Work("rack", 4);
  ASSERT_TRUE(Ask("ada", {"a"}).ok());
  ASSERT_TRUE(Ask("bob", {"a"}).ok());
  EXPECT_THAT(Work("rack", 4), ElementsAre("a"));
  Work("rack", 4, {}, {"a"});
  ASSERT_TRUE(Ask("eve", {"a"}).ok());
  EXPECT_EQ(Done("a").done_size(), 1) << "answered at once";
  EXPECT_THAT(Work("rack", 4), IsEmpty());
}

TEST_F(BuildStateTest, KnowsInItsNextLifeWhatWasBuilt) {
  Work("rack", 2);
  ASSERT_TRUE(Ask("ada", {"a", "b", "c"}).ok());
  Work("rack", 2);
  Work("rack", 2, {}, {"a"});
  Work("rack", 2, {}, {"b"}, pb::COMPILE_ERROR);
  Work("rack", 2, {}, {"c"}, pb::TIMEOUT);
  std::vector<pb::BuiltReply> unsaved = state_.TakeUnsaved();
  ASSERT_EQ(unsaved.size(), 2) << "whoever asks for c again has it tried again";
  EXPECT_THAT(state_.TakeUnsaved(), IsEmpty());
  BuildState next{BuildLimits()};
  next.Restore(std::move(unsaved));
  EXPECT_THAT(next.TakeUnsaved(), IsEmpty());
  EXPECT_EQ(next.DoneOf({Key("a"), Key("b"), Key("c")}).done_size(), 2);
  EXPECT_THAT(next.DoneOf({Key("c")}).unknown(), ElementsAre(Key("c")));
}

TEST_F(BuildStateTest, GivesABuilderTwiceItsCapacity) {
  Work("rack", 2);
  ASSERT_TRUE(Ask("ada", {"a", "b", "c", "d", "e", "f"}).ok());
  EXPECT_THAT(Work("rack", 2), ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(Work("rack", 2, {"b", "c", "d"}, {"a"}), ElementsAre("e"));
}

TEST_F(BuildStateTest, ABuilderThatDropsWhatItKeptAtIsGivenNoMoreThanOthers) {
  Work("rack", 1);
  ASSERT_TRUE(Ask("ada", {"a", "b", "c", "d"}).ok());
  EXPECT_EQ(Work("rack", 1).size(), 2);
  EXPECT_EQ(Work("rack", 1, {"a", "b", "c", "d"}).size(), 0);
  EXPECT_EQ(Work("rack", 1).size(), 2);
  EXPECT_EQ(Work("desk", 1).size(), 2);
}

TEST_F(BuildStateTest, UsersTakeTurns) {
  Work("rack", 1);
  ASSERT_TRUE(Ask("ada", {"a1", "a2", "a3", "a4"}).ok());
  ASSERT_TRUE(Ask("bob", {"b1", "b2"}).ok());
  EXPECT_THAT(Work("rack", 1), ElementsAre("a1", "b1"));
  EXPECT_THAT(Work("rack", 1, {}, {"a1", "b1"}), ElementsAre("a2", "b2"));
  EXPECT_THAT(Work("rack", 1, {}, {"a2", "b2"}), ElementsAre("a3", "a4"));
}

TEST_F(BuildStateTest, ASilentBuildersWorkGoesToAnother) {
  Work("one", 1);
  ASSERT_TRUE(Ask("ada", {"a", "b"}).ok());
  EXPECT_THAT(Work("one", 1), ElementsAre("a", "b"));
  now_ns_ += 10 * kSecond;
  EXPECT_THAT(Work("other", 1), IsEmpty());
  now_ns_ += 10 * kSecond;
  Work("other", 1);
  state_.Tick(now_ns_);
  EXPECT_THAT(Work("other", 1), ElementsAre("a", "b"));
  // The first was only cut off; what it did counts, and is not done twice.
  Work("one", 1, {}, {"a"});
  EXPECT_EQ(Done("a").done_size(), 1);
  EXPECT_THAT(Work("other", 1), ElementsAre("b"));
}

TEST_F(BuildStateTest, ABuilderStartedAgainBeginsAnew) {
  Work("one", 1);
  ASSERT_TRUE(Ask("ada", {"a"}).ok());
  EXPECT_THAT(Work("one", 1), ElementsAre("a"));
  EXPECT_THAT(Work("one", 1, {}, {}, pb::OK, /*boot=*/2), ElementsAre("a"));
  Work("one", 1, {}, {}, pb::OK, /*boot=*/1);
  EXPECT_EQ(status_.code(), absl::StatusCode::kAborted);
}

TEST_F(BuildStateTest, GivesUpABuildThatLosesItsBuilderAgainAndAgain) {
  Work("one", 1);
  ASSERT_TRUE(Ask("ada", {"a"}).ok());
  for (int loss = 0; loss < 4; ++loss) {
    EXPECT_THAT(Done("a").done(), IsEmpty());
    EXPECT_THAT(Work("one", 1), ElementsAre("a"));
    Work("one", 1, {}, {"a"}, pb::INFRA);
  }
  ASSERT_EQ(Done("a").done_size(), 1);
  EXPECT_EQ(Done("a").done(0).reply().failure().failure(), pb::INFRA);
  // That was chance: who asks anew gets a new try.
  ASSERT_TRUE(Ask("ada", {"a"}).ok());
  EXPECT_THAT(Work("one", 1), ElementsAre("a"));
}

TEST_F(BuildStateTest, ABuilderThatGoesHandsItsBuildsBack) {
  Work("going", 1);
  Work("other", 1);
  ASSERT_TRUE(Ask("ada", {"a", "b"}).ok());
  for (int i = 0; i < 9; ++i) {
    EXPECT_THAT(Work("going", 1), ElementsAre("a", "b")) << "that costs them no try";
    EXPECT_THAT(Work("going", 0), IsEmpty());
    EXPECT_EQ(state_.List(now_ns_).builders_size(), 1);
  }
  EXPECT_THAT(Work("other", 1), ElementsAre("a", "b")) << "at once";
}

TEST_F(BuildStateTest, WhatABuilderHasFinishedWhenItGoesCounts) {
  Work("one", 1);
  ASSERT_TRUE(Ask("ada", {"a"}).ok());
  EXPECT_THAT(Work("one", 1), ElementsAre("a"));
  Work("one", 0, {}, {"a"});
  EXPECT_EQ(Done("a").done_size(), 1);
}

TEST_F(BuildStateTest, RemembersThatACandidateDoesNotCompile) {
  Work("one", 1);
  ASSERT_TRUE(Ask("ada", {"a"}).ok());
  EXPECT_THAT(Work("one", 1), ElementsAre("a"));
  Work("one", 1, {}, {"a"}, pb::COMPILE_ERROR);
  ASSERT_TRUE(Ask("ada", {"a"}).ok());
  EXPECT_THAT(Work("one", 1), IsEmpty());
  EXPECT_EQ(Done("a").done(0).reply().failure().failure(), pb::COMPILE_ERROR);
}

TEST_F(BuildStateTest, NeverUsesABuilderOfAnotherVersionAndSaysSo) {
  Work("old", 1, {}, {}, pb::OK, 1, /*epoch=*/2);
  const Status refused = Ask("ada", {"a"});
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("old is of 1.0, codegen 2"));
  Work("new", 1);
  ASSERT_TRUE(Ask("ada", {"a"}).ok());
  EXPECT_THAT(Work("old", 1, {}, {}, pb::OK, 1, /*epoch=*/2), IsEmpty());
  EXPECT_THAT(Work("new", 1), ElementsAre("a"));
}

TEST_F(BuildStateTest, DropsWhatNobodyAsksForAnyMore) {
  Work("one", 1);
  ASSERT_TRUE(Ask("ada", {"a"}).ok());
  now_ns_ += 100 * kSecond;
  EXPECT_THAT(Work("one", 1), IsEmpty());
  EXPECT_THAT(Done("a").unknown(), ElementsAre(Key("a")));
}

TEST_F(BuildStateTest, ABuildWhoseCodeIsLostIsNotKnown) {
  Work("one", 1);
  ASSERT_TRUE(Ask("ada", {"a"}).ok());
  Work("one", 1);
  Work("one", 1, {}, {"a"});
  state_.Forget(Key("a"));
  EXPECT_THAT(Done("a").unknown(), ElementsAre(Key("a")));
  ASSERT_TRUE(Ask("ada", {"a"}).ok());
  EXPECT_THAT(Work("one", 1), ElementsAre("a"));
}

}  // namespace
}  // namespace hone

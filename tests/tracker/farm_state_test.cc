#include "tracker/farm_state.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <deque>

#include "absl/strings/str_cat.h"
#include "tracker/wire_rules.h"

namespace hone {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr int64_t kSecond = 1'000'000'000;

std::shared_ptr<const pb::Batch> SomeBatch(const std::string& device = "") {
  pb::Batch batch;
  batch.set_workload("workload/1 w");
  batch.set_target(Target().ToString());
  batch.set_numerics("fp32");
  batch.set_selector(device);
  batch.add_candidates()->set_schedule("schedule/1");
  return std::make_shared<const pb::Batch>(batch);
}

std::shared_ptr<const pb::Batch> BatchOf(const std::string& user) {
  pb::Batch batch = *SomeBatch();
  batch.set_user(user);
  return std::make_shared<const pb::Batch>(batch);
}

// An agent's state with one device.
pb::AgentState StateOf(const std::string& agent, uint64_t boot, uint64_t sequence,
                       const std::string& device, uint64_t epoch,
                       const std::vector<std::string>& held_batches = {}) {
  pb::AgentState state;
  state.set_agent(agent);
  state.set_boot(boot);
  state.set_sequence(sequence);
  pb::DeviceStatus* status = state.add_devices();
  status->mutable_info()->set_name(device);
  status->mutable_info()->set_target(Target().ToString());
  status->mutable_info()->set_state(pb::READY);
  status->set_epoch(epoch);
  for (const std::string& batch : held_batches) {
    pb::HeldAttempt* held = status->add_held();
    held->set_batch_id(batch);
    held->set_attempt_id(absl::StrCat(batch, "@", device, ":", epoch));
  }
  return state;
}

// Plays the shell: a clock, a journal that does what it is told, and what was sent last.
class FarmStateTest : public ::testing::Test {
 protected:
  void Feed(FarmEvent event) {
    std::deque<FarmEvent> events = {std::move(event)};
    while (!events.empty()) {
      for (FarmEffect& effect : state_.Step(std::move(events.front()), now_ns_)) {
        if (auto* write = std::get_if<WriteJournal>(&effect)) {
          Note(write->entry);
          if (hold_writes_) {
            held_writes_.push_back({write->call, write->entry, {journal_status_}});
          } else {
            events.push_back(WrittenEvent{write->call, write->entry, {journal_status_}});
          }
        } else if (auto* submitted = std::get_if<AnswerSubmit>(&effect)) {
          submitted_.push_back(absl::StrCat(submitted->batch_id, " ", submitted->status.ok()));
        } else if (auto* cancelled = std::get_if<AnswerCancel>(&effect)) {
          cancelled_.push_back(cancelled->status);
        } else if (auto* send = std::get_if<SendOrders>(&effect)) {
          orders_[send->session] = send->orders;
        } else if (auto* close = std::get_if<CloseSession>(&effect)) {
          closed_[close->session] = close->status;
        } else if (auto* answer = std::get_if<AnswerReport>(&effect)) {
          answer_ = *answer;
        } else if (auto* notify = std::get_if<NotifyClient>(&effect)) {
          notified_.push_back(notify->client_id);
        }
      }
      events.pop_front();
    }
  }

  void Note(const JournalEntry& entry) {
    if (const auto* epoch = std::get_if<EpochEntry>(&entry)) {
      journal_.push_back(absl::StrCat(epoch->device, ":", epoch->epoch));
    } else if (const auto* outcome = std::get_if<OutcomeEntry>(&entry)) {
      journal_.push_back(outcome->result.batch_id());
      records_ += static_cast<int>(outcome->records.size());
    } else if (const auto* forget = std::get_if<ForgetEntry>(&entry)) {
      journal_.push_back("forget " + forget->batch_id);
    } else if (const auto* taint = std::get_if<TaintEntry>(&entry)) {
      journal_.push_back(absl::StrCat("taint ", taint->device, " ", taint->taint.since_unix_ms(),
                                      " to ", taint->taint.until_unix_ms()));
    }
  }
  // What was held back reaches the disk, or does not.
  void LetWritesEnd(const Status& status = absl::OkStatus()) {
    hold_writes_ = false;
    for (WrittenEvent& event : std::exchange(held_writes_, {})) {
      event.outcome.status = status;
      Feed(std::move(event));
    }
  }

  // The tracker is killed, and started on what its journal has.
  void Restart(const std::map<std::string, uint64_t>& epochs, std::vector<JournaledBatch> batches) {
    state_ = FarmState({}, epochs);
    for (JournaledBatch& batch : batches) {
      batch.client_id = "client";
      batch.batch = SomeBatch();
    }
    Feed(RestoreEvent{std::move(batches)});
  }

  void Submit(const std::string& id, const std::string& device = "") {
    Feed(SubmitEvent{++call_, "client", id, SomeBatch(device)});
  }
  void SubmitAs(const std::string& user, const std::string& id) {
    Feed(SubmitEvent{++call_, "client", id, BatchOf(user)});
  }
  void Decide(const std::string& policy) {
    PolicyEvent event;
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(policy, &event.policy));
    Feed(std::move(event));
  }
  // Agent "agent" says that it has "board"; session 1, boot 1.
  void Hello(uint64_t epoch = 0, const std::vector<std::string>& held = {}) {
    Feed(AgentStateEvent{1, StateOf("agent", 1, ++sequence_, "board", epoch, held)});
  }
  void Report(const std::string& batch, uint64_t epoch, const std::string& device = "board") {
    ReportEvent event{.call = ++call_};
    event.report.set_agent("agent");
    event.report.set_device(device);
    event.report.set_epoch(epoch);
    event.report.set_batch_id(batch);
    event.report.set_attempt_id(absl::StrCat(batch, "@", device, ":", epoch));
    event.report.mutable_result()->add_measurements()->set_cost_ns(10);
    *event.report.mutable_batch() = *SomeBatch();
    Feed(std::move(event));
  }
  void Wait(int64_t seconds) {
    for (int64_t i = 0; i < seconds; ++i) {
      now_ns_ += kSecond;
      Feed(TickEvent{});
    }
  }
  // Ids of the batches granted in the latest orders of a session.
  std::vector<std::string> Granted(uint64_t session = 1) {
    std::vector<std::string> ids;
    for (const pb::DeviceOrders& device : orders_[session].devices()) {
      for (const pb::Grant& grant : device.grants()) ids.push_back(grant.batch_id());
    }
    return ids;
  }
  uint64_t EpochTold(uint64_t session = 1) { return orders_[session].devices(0).epoch(); }
  std::vector<std::string> Results() {
    std::vector<std::string> lines;
    for (const pb::BatchResult& result : state_.ResultsOf("client")) {
      lines.push_back(
          absl::StrCat(result.batch_id(), result.error().empty() ? "" : ": ", result.error()));
    }
    return lines;
  }

  FarmState state_{{}, {{"known", 7}}};
  int64_t now_ns_ = 1000 * kSecond;
  uint64_t sequence_ = 0;
  uint64_t call_ = 0;
  Status journal_status_;
  bool hold_writes_ = false;
  std::vector<WrittenEvent> held_writes_;
  std::vector<std::string> submitted_;  // answers: batch, and whether it was taken in
  std::vector<Status> cancelled_;
  std::vector<std::string> journal_;
  int records_ = 0;
  std::map<uint64_t, pb::AgentOrders> orders_;
  std::map<uint64_t, Status> closed_;
  AnswerReport answer_;
  std::vector<std::string> notified_;
};

TEST_F(FarmStateTest, WritesTheEpochDownBeforeItGrants) {
  Submit("a");
  Hello();
  EXPECT_THAT(journal_, ElementsAre("board:1"));
  EXPECT_EQ(EpochTold(), 1);
  EXPECT_THAT(Granted(), ElementsAre("a"));
}

TEST_F(FarmStateTest, GrantsNothingWhileTheEpochIsNotSafe) {
  Submit("a");
  journal_status_ = absl::ResourceExhaustedError("disk full");
  Hello();
  EXPECT_THAT(Granted(), IsEmpty());
  EXPECT_EQ(EpochTold(), 0);
  journal_status_ = absl::OkStatus();
  Hello();
  EXPECT_THAT(Granted(), ElementsAre("a"));
}

TEST_F(FarmStateTest, CountsOnFromTheEpochInTheJournal) {
  Feed(AgentStateEvent{1, StateOf("agent", 1, 1, "known", 0)});
  EXPECT_EQ(EpochTold(), 8);
}

TEST_F(FarmStateTest, GrantsTwoBatchesAheadOldestFirst) {
  for (const char* id : {"a", "b", "c"}) Submit(id);
  Hello();
  EXPECT_THAT(Granted(), ElementsAre("a", "b"));
  Report("a", 1);
  EXPECT_THAT(Granted(), ElementsAre("b", "c"));
}

TEST_F(FarmStateTest, SendsABatchUntilTheAgentHoldsIt) {
  Submit("a");
  Hello();
  Hello(1);
  EXPECT_TRUE(orders_[1].devices(0).grants(0).has_batch());
  Hello(1, {"a"});
  EXPECT_FALSE(orders_[1].devices(0).grants(0).has_batch());
}

TEST_F(FarmStateTest, AnswersEveryStateWithWholeOrders) {
  Hello();
  EXPECT_EQ(orders_[1].acked_sequence(), 1);
  Hello(1);
  EXPECT_EQ(orders_[1].acked_sequence(), 2);
  EXPECT_EQ(orders_[1].devices(0).ttl_ms(), 30'000);
}

TEST_F(FarmStateTest, RecordsAReportAndTellsTheClient) {
  Submit("a");
  Hello();
  Report("a", 1);
  EXPECT_EQ(answer_.reply.outcome(), pb::RECORDED);
  EXPECT_EQ(records_, 1);
  EXPECT_THAT(Results(), ElementsAre("a"));
  EXPECT_THAT(notified_, ElementsAre("client"));
}

TEST_F(FarmStateTest, CommitsAReportOnceHoweverOftenItComes) {
  Submit("a");
  Hello();
  Report("a", 1);
  Report("a", 1);
  EXPECT_EQ(answer_.reply.outcome(), pb::RECORDED);
  EXPECT_EQ(records_, 1);
  EXPECT_THAT(journal_, ElementsAre("board:1", "a"));
}

TEST_F(FarmStateTest, AcknowledgesNothingThatIsNotCommitted) {
  Submit("a");
  Hello();
  journal_status_ = absl::ResourceExhaustedError("disk full");
  Report("a", 1);
  EXPECT_EQ(answer_.status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(Results(), IsEmpty());
  journal_status_ = absl::OkStatus();
  Report("a", 1);
  EXPECT_EQ(answer_.reply.outcome(), pb::RECORDED);
  EXPECT_THAT(Results(), ElementsAre("a"));
}

TEST_F(FarmStateTest, GrantsTheNextBatchWhileAReportIsBeingWrittenDown) {
  for (const char* batch : {"a", "b", "c", "d", "e", "f"}) Submit(batch);
  Hello();
  ASSERT_THAT(Granted(), ElementsAre("a", "b"));
  hold_writes_ = true;
  Report("a", 1);
  EXPECT_THAT(Granted(), ElementsAre("a", "b", "c"));
  EXPECT_THAT(Results(), IsEmpty()) << "it is not on the disk yet";
  Report("a", 1);
  EXPECT_THAT(Granted(), ElementsAre("a", "b", "c")) << "one for each, however often it comes";
  Report("b", 1);
  Report("c", 1);
  EXPECT_THAT(Granted(), ElementsAre("a", "b", "c", "d")) << "no more than so far ahead";
}

TEST_F(FarmStateTest, GrantsNoMoreForAReportThatCannotBeWrittenDown) {
  for (const char* batch : {"a", "b", "c", "d"}) Submit(batch);
  Hello();
  journal_status_ = absl::ResourceExhaustedError("disk full");
  Report("a", 1);
  EXPECT_THAT(Granted(), ElementsAre("a", "b", "c"));
  Report("b", 1);
  EXPECT_THAT(Granted(), ElementsAre("a", "b", "c"));
  journal_status_ = absl::OkStatus();
  Report("a", 1);
  EXPECT_THAT(Granted(), ElementsAre("b", "c"));
  Report("b", 1);
  EXPECT_THAT(Granted(), ElementsAre("c", "d"));
}

TEST_F(FarmStateTest, KeepsResultsUntilTheyAreAcknowledged) {
  Submit("a");
  Hello();
  Report("a", 1);
  Feed(ClientSeenEvent{"client", {}});
  EXPECT_THAT(Results(), ElementsAre("a"));
  Feed(ClientSeenEvent{"client", {"a"}});
  EXPECT_THAT(Results(), IsEmpty());
}

TEST_F(FarmStateTest, SubmittingAgainChangesNothing) {
  Submit("a");
  Submit("a");
  Hello();
  EXPECT_THAT(Granted(), ElementsAre("a"));
}

TEST_F(FarmStateTest, AnswersABatchThatWasFinishedInAnEarlierLife) {
  hold_writes_ = true;
  Submit("a");
  held_writes_[0].outcome.finished.emplace().set_batch_id("a");
  LetWritesEnd(absl::AlreadyExistsError("finished"));
  EXPECT_THAT(submitted_, ElementsAre("a 1"));
  Hello();
  EXPECT_THAT(Granted(), IsEmpty());
  EXPECT_THAT(Results(), ElementsAre("a"));
}

TEST_F(FarmStateTest, AnExpiredLeaseQueuesItsBatchesAgain) {
  Submit("a");
  Hello();
  Wait(31);
  EXPECT_EQ(state_.queued_batches(), 1);
  Feed(AgentStateEvent{2, StateOf("other", 1, 1, "board2", 0)});
  EXPECT_THAT(Granted(2), ElementsAre("a"));
}

TEST_F(FarmStateTest, HeartbeatsKeepALease) {
  Submit("a");
  Hello();
  for (int i = 0; i < 20; ++i) {
    Wait(5);
    Hello(1, {"a"});
  }
  EXPECT_EQ(state_.queued_batches(), 0);
  EXPECT_THAT(journal_, ElementsAre("board:1"));
}

TEST_F(FarmStateTest, AnAgentThatComesBackLateGoesOnIfNobodyHadItsDevice) {
  Submit("a");
  Hello();
  Hello(1, {"a"});
  Wait(100);
  EXPECT_EQ(state_.queued_batches(), 1);
  Hello(1, {"a"});
  EXPECT_EQ(state_.queued_batches(), 0);
  EXPECT_THAT(Granted(), ElementsAre("a"));
  EXPECT_THAT(journal_, ElementsAre("board:1"));
}

TEST_F(FarmStateTest, ALateReportCountsIfNobodyHadTheDevice) {
  Submit("a");
  Hello();
  Wait(31);
  Report("a", 1);
  EXPECT_EQ(answer_.reply.outcome(), pb::RECORDED);
  EXPECT_EQ(state_.queued_batches(), 0);
}

TEST_F(FarmStateTest, AStaleEpochNeverCounts) {
  Submit("a");
  Hello();
  Wait(31);
  // Another agent has the board now.
  Feed(AgentStateEvent{2, StateOf("other", 1, 1, "board", 0)});
  EXPECT_EQ(EpochTold(2), 2);
  Report("a", 1);
  EXPECT_EQ(answer_.reply.outcome(), pb::STALE);
  EXPECT_THAT(Results(), IsEmpty());
  EXPECT_EQ(records_, 0);
  Report("a", 2);
  EXPECT_EQ(answer_.reply.outcome(), pb::RECORDED);
}

TEST_F(FarmStateTest, TellsAnAgentThatItsDeviceIsLeasedToAnother) {
  Hello();
  Wait(31);
  Feed(AgentStateEvent{2, StateOf("other", 1, 1, "board", 0)});
  Hello(1, {"a"});
  EXPECT_EQ(EpochTold(), 0);
  EXPECT_THAT(Granted(), IsEmpty());
}

TEST_F(FarmStateTest, AnAgentThatIsStartedAgainGetsANewLease) {
  Submit("a");
  Hello();
  Feed(AgentStateEvent{2, StateOf("agent", 2, 1, "board", 0)});
  EXPECT_EQ(closed_[1].code(), absl::StatusCode::kAborted);
  EXPECT_EQ(EpochTold(2), 2);
  EXPECT_THAT(Granted(2), ElementsAre("a"));
}

TEST_F(FarmStateTest, RefusesTheOlderOfTwoAgentsWithOneName) {
  Feed(AgentStateEvent{1, StateOf("agent", 5, 1, "board", 0)});
  Feed(AgentStateEvent{2, StateOf("agent", 4, 1, "board", 0)});
  EXPECT_EQ(closed_[2].code(), absl::StatusCode::kAborted);
  EXPECT_FALSE(closed_.contains(1));
  EXPECT_THAT(journal_, ElementsAre("board:1"));
}

TEST_F(FarmStateTest, ABrokenStreamKeepsTheLease) {
  Submit("a");
  Hello();
  Hello(1, {"a"});
  Feed(SessionEndedEvent{1});
  Wait(10);
  Feed(AgentStateEvent{2, StateOf("agent", 1, 1, "board", 1, {"a"})});
  EXPECT_THAT(Granted(2), ElementsAre("a"));
  EXPECT_THAT(journal_, ElementsAre("board:1"));
}

TEST_F(FarmStateTest, GrantsNothingNewToAnAgentWithoutAStream) {
  Hello();
  Feed(SessionEndedEvent{1});
  Submit("a");
  EXPECT_EQ(state_.queued_batches(), 1);
}

TEST_F(FarmStateTest, GivesUpABatchThatKeepsLosingItsDevice) {
  Submit("a");
  for (uint64_t boot = 1; boot <= 4; ++boot) {
    Feed(AgentStateEvent{boot, StateOf("agent", boot, 1, "board", 0)});
    EXPECT_THAT(Granted(boot), ElementsAre("a"));
  }
  Feed(AgentStateEvent{5, StateOf("agent", 5, 1, "board", 0)});
  ASSERT_THAT(Results(), SizeIs(1));
  EXPECT_THAT(Results()[0], HasSubstr("its device was lost 4 times"));
}

TEST_F(FarmStateTest, AnAgentThatGoesHandsItsLeasesBack) {
  Submit("a");
  Feed(AgentStateEvent{1, StateOf("agent", 1, 1, "board", 0)});
  EXPECT_THAT(Granted(1), ElementsAre("a"));
  Feed(AgentStateEvent{2, StateOf("other", 1, 1, "next", 0)});
  EXPECT_THAT(Granted(2), IsEmpty());
  pb::AgentState gone = StateOf("agent", 1, 2, "board", 1);
  gone.clear_devices();
  Feed(AgentStateEvent{1, gone});
  EXPECT_THAT(Granted(2), ElementsAre("a")) << "at once";
  EXPECT_EQ(orders_[1].acked_sequence(), 2u);
}

TEST_F(FarmStateTest, ABatchThatIsHandedBackHasLostNothing) {
  Submit("a");
  for (uint64_t boot = 1; boot <= 9; ++boot) {
    Feed(AgentStateEvent{boot, StateOf("agent", boot, 1, "board", 0)});
    EXPECT_THAT(Granted(boot), ElementsAre("a"));
    pb::AgentState gone = StateOf("agent", boot, 2, "board", boot);
    gone.clear_devices();
    Feed(AgentStateEvent{boot, gone});
  }
  EXPECT_THAT(Results(), IsEmpty());
}

TEST_F(FarmStateTest, HandsBackOnlyWhatIsLeasedToTheOneWhoSaysSo) {
  Submit("a");
  Feed(AgentStateEvent{1, StateOf("agent", 1, 1, "board", 0)});
  Feed(AgentStateEvent{2, StateOf("other", 1, 1, "board", 0)});
  pb::AgentState gone = StateOf("other", 1, 2, "board", 0);
  gone.clear_devices();
  Feed(AgentStateEvent{2, gone});
  Feed(AgentStateEvent{1, StateOf("agent", 1, 2, "board", 1, {"a"})});
  EXPECT_THAT(Granted(1), ElementsAre("a"));
  EXPECT_EQ(EpochTold(1), 1u) << "the lease went on";
}

TEST_F(FarmStateTest, CancelsWhatWaitsAndWhatRuns) {
  for (const char* id : {"a", "b", "c"}) Submit(id);
  Hello();
  Feed(CancelEvent{1, "client", {"a", "c"}});
  EXPECT_THAT(Results(), ElementsAre("a: cancelled", "c: cancelled"));
  EXPECT_THAT(Granted(), ElementsAre("b"));
  Report("a", 1);
  EXPECT_EQ(answer_.reply.outcome(), pb::UNWANTED);
  EXPECT_EQ(records_, 0);
}

TEST_F(FarmStateTest, CancelsOnlyTheClientsOwn) {
  Submit("a");
  Feed(CancelEvent{1, "somebody else", {"a"}});
  EXPECT_EQ(state_.queued_batches(), 1);
}

TEST_F(FarmStateTest, GrantsANamedDevicesBatchToItAlone) {
  Submit("a", "other-board");
  Hello();
  EXPECT_THAT(Granted(), IsEmpty());
  Feed(AgentStateEvent{2, StateOf("other", 1, 1, "other-board", 0)});
  EXPECT_THAT(Granted(2), ElementsAre("a"));
}

TEST_F(FarmStateTest, GivesUpABatchThatNoDeviceCanRun) {
  Submit("a", "unheard-of");
  Hello();
  Wait(59);
  EXPECT_THAT(Results(), IsEmpty());
  Wait(2);
  ASSERT_THAT(Results(), SizeIs(1));
  EXPECT_THAT(Results()[0], HasSubstr("no device of the farm can run it"));
}

TEST_F(FarmStateTest, ForgetsTheBatchesOfASilentClient) {
  for (const char* id : {"a", "b", "c"}) Submit(id);
  Hello();
  for (int i = 0; i < 122; ++i) {
    Wait(5);
    Hello(1, {"a", "b"});
  }
  EXPECT_THAT(Granted(), IsEmpty());
  EXPECT_EQ(state_.queued_batches(), 0);
}

TEST_F(FarmStateTest, GrantsNothingToAQuarantinedDevice) {
  Submit("a");
  pb::AgentState state = StateOf("agent", 1, 1, "board", 0);
  state.mutable_devices(0)->mutable_info()->set_state(pb::QUARANTINED);
  Feed(AgentStateEvent{1, state});
  EXPECT_THAT(Granted(), IsEmpty());
}

// --- What the journal is for

TEST_F(FarmStateTest, TakesABatchInOnlyWhenItIsSafe) {
  Hello();
  hold_writes_ = true;
  Submit("a");
  Submit("a");  // the answer was lost
  EXPECT_THAT(submitted_, IsEmpty());
  EXPECT_THAT(Granted(), IsEmpty());
  LetWritesEnd();
  EXPECT_THAT(submitted_, ElementsAre("a 1", "a 1"));
  EXPECT_THAT(Granted(), ElementsAre("a"));
}

TEST_F(FarmStateTest, RefusesABatchThatCannotBeWrittenDown) {
  journal_status_ = absl::ResourceExhaustedError("the disk is full");
  Submit("a");
  EXPECT_THAT(submitted_, ElementsAre("a 0"));
  EXPECT_FALSE(state_.KnowsBatch("a"));
  journal_status_ = absl::OkStatus();
  Submit("a");
  EXPECT_EQ(state_.queued_batches(), 1);
}

TEST_F(FarmStateTest, ACancelHoldsOnlyWhenItIsSafe) {
  Submit("a");
  Submit("b");
  hold_writes_ = true;
  Feed(CancelEvent{7, "client", {"a", "b"}});
  EXPECT_THAT(cancelled_, IsEmpty());
  EXPECT_THAT(Results(), IsEmpty());
  Hello();
  EXPECT_THAT(Granted(), IsEmpty());
  LetWritesEnd();
  EXPECT_THAT(cancelled_, ElementsAre(absl::OkStatus()));
  EXPECT_THAT(Results(), ElementsAre("a: cancelled", "b: cancelled"));
}

TEST_F(FarmStateTest, ACancelThatCannotBeWrittenDownIsTriedAgain) {
  Submit("a");
  journal_status_ = absl::ResourceExhaustedError("the disk is full");
  Feed(CancelEvent{7, "client", {"a"}});
  EXPECT_THAT(cancelled_, ElementsAre(journal_status_));
  EXPECT_THAT(Results(), IsEmpty());
  journal_status_ = absl::OkStatus();
  Wait(1);
  EXPECT_THAT(Results(), ElementsAre("a: cancelled"));
}

// It would not count, and its stream would be told of the leases of an earlier life.
TEST_F(FarmStateTest, AStateWithoutANumberIsNotLetThrough) {
  EXPECT_TRUE(CheckAgentState(StateOf("agent", 1, 1, "board", 0)).ok());
  EXPECT_EQ(CheckAgentState(StateOf("agent", 1, 0, "board", 0)).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(FarmStateTest, NobodyHoldsAnEpochThatCouldNotBeWrittenDown) {
  journal_status_ = absl::ResourceExhaustedError("the disk is full");
  Hello();
  journal_status_ = absl::OkStatus();
  Hello(1);  // it says so, and was never told
  EXPECT_EQ(EpochTold(), 2);
  EXPECT_THAT(journal_, ElementsAre("board:1", "board:2"));
}

TEST_F(FarmStateTest, AnEpochOnItsWayToTheDiskGoesToWhoeverAsksLast) {
  Submit("a");
  hold_writes_ = true;
  Hello();
  Wait(31);  // the lease that is not yet there runs out
  Feed(AgentStateEvent{2, StateOf("other", 1, 1, "board", 0)});
  LetWritesEnd();
  EXPECT_THAT(Granted(2), ElementsAre("a"));
  EXPECT_EQ(EpochTold(2), 1);
  EXPECT_THAT(journal_, ElementsAre("board:1"));
}

TEST_F(FarmStateTest, AnEpochThatCouldNotBeWrittenIsNeverAskedForAgain) {
  journal_status_ = absl::UnavailableError("who knows");
  Hello();
  journal_status_ = absl::OkStatus();
  Hello();
  EXPECT_THAT(journal_, ElementsAre("board:1", "board:2"));
  EXPECT_EQ(EpochTold(), 2);
}

TEST_F(FarmStateTest, GoesOnWithTheQueueOfItsEarlierLife) {
  Restart({{"known", 7}}, {{.batch_id = "a"}, {.batch_id = "b"}, {.batch_id = "c"}});
  Hello();
  EXPECT_THAT(Granted(), ElementsAre("a", "b"));
  Report("a", 1);
  EXPECT_THAT(Results(), ElementsAre("a"));
  EXPECT_THAT(Granted(), ElementsAre("b", "c"));
}

TEST_F(FarmStateTest, ABatchStaysWithTheDeviceThatHadItInTheEarlierLife) {
  Restart({{"board", 4}}, {{.batch_id = "a", .device = "board", .epoch = 4}});
  Feed(AgentStateEvent{2, StateOf("other", 1, 1, "board2", 0)});
  EXPECT_THAT(Granted(2), IsEmpty());
  Hello(4, {"a"});
  EXPECT_THAT(Granted(), ElementsAre("a"));
  EXPECT_THAT(journal_, ElementsAre("board2:1"));
  Report("a", 4);
  EXPECT_THAT(Results(), ElementsAre("a"));
}

TEST_F(FarmStateTest, ABatchOfADeviceThatDoesNotComeBackWaitsAgain) {
  Restart({{"board", 4}}, {{.batch_id = "a", .device = "board", .epoch = 4}});
  for (int i = 0; i < 6; ++i) {
    Feed(AgentStateEvent{2, StateOf("other", 1, ++sequence_, "board2", i == 0 ? 0 : 1)});
    EXPECT_THAT(Granted(2), IsEmpty());
    Wait(5);
  }
  EXPECT_THAT(Granted(2), ElementsAre("a"));
}

TEST_F(FarmStateTest, TheAttemptThatRunsWinsOverItsDuplicate) {
  // The note that board has it was lost with the tracker.
  Restart({{"board", 4}}, {{.batch_id = "a"}});
  Feed(AgentStateEvent{2, StateOf("other", 1, 1, "board2", 0)});
  EXPECT_THAT(Granted(2), ElementsAre("a"));
  Hello(4, {"a"});
  EXPECT_THAT(Granted(), ElementsAre("a"));
  EXPECT_THAT(Granted(2), IsEmpty());
}

TEST_F(FarmStateTest, WhatAnAgentHoldsAndNobodyWantsIsDropped) {
  Restart({{"board", 4}}, {});
  Hello(4, {"a"});
  EXPECT_EQ(EpochTold(), 4);
  EXPECT_THAT(Granted(), IsEmpty());
}

TEST_F(FarmStateTest, RefusesNothingWhileDevicesComeBack) {
  Restart({{"board", 4}, {"pi", 2}}, {});
  Hello(4);
  EXPECT_TRUE(state_.IsRecovering());
  EXPECT_TRUE(state_.CheckSubmittable(*SomeBatch("pi")).ok());
  Wait(61);
  EXPECT_FALSE(state_.IsRecovering());
  EXPECT_EQ(state_.CheckSubmittable(*SomeBatch("pi")).code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(FarmStateTest, RecordsAReportWhoseBatchItNeverSaw) {
  state_ = FarmState({}, {{"board", 4}});
  Report("a", 4);
  EXPECT_EQ(answer_.reply.outcome(), pb::RECORDED);
  EXPECT_EQ(records_, 1);
}

TEST_F(FarmStateTest, ListsASilentDeviceAsLost) {
  Hello();
  EXPECT_EQ(state_.Devices(now_ns_)[0].state(), pb::READY);
  EXPECT_EQ(state_.Devices(now_ns_ + 16 * kSecond)[0].state(), pb::LOST);
}

TEST_F(FarmStateTest, DoesNotBelieveAReportOfTheWrongLength) {
  Submit("a");
  Hello();
  ReportEvent event{.call = 1};
  event.report.set_device("board");
  event.report.set_epoch(1);
  event.report.set_batch_id("a");
  event.report.set_attempt_id("a@board:1");
  Feed(std::move(event));
  EXPECT_EQ(records_, 0);
  EXPECT_THAT(Results()[0], HasSubstr("0 measurements of 1 candidates"));
}

TEST_F(FarmStateTest, SharesADeviceBetweenUsers) {
  for (const char* id : {"a1", "a2", "a3"}) SubmitAs("ada", id);
  for (const char* id : {"b1", "b2"}) SubmitAs("bob", id);
  Hello();
  EXPECT_THAT(Granted(), ElementsAre("a1", "b1"));
  now_ns_ += kSecond;
  Report("a1", 1);
  now_ns_ += 5 * kSecond;  // bob's takes longer
  Report("b1", 1);
  EXPECT_THAT(Granted(), ElementsAre("a2", "a3"));
}

TEST_F(FarmStateTest, AWeightHoldsUntilItIsTakenAway) {
  const auto of_ada = [&] {
    int count = 0;
    for (int i = 0; i < 30; ++i) {
      const std::string id = Granted().at(0);
      count += id[0] == 'a';
      now_ns_ += kSecond;
      Report(id, 1);
    }
    return count;
  };
  for (int i = 0; i < 100; ++i) SubmitAs("ada", absl::StrCat("a", i));
  for (int i = 0; i < 100; ++i) SubmitAs("bob", absl::StrCat("b", i));
  Decide(R"(users { user: "ada" weight: 2 })");
  Hello();
  EXPECT_NEAR(of_ada(), 20, 2);
  Decide(R"(users { user: "ada" })");
  EXPECT_NEAR(of_ada(), 15, 2);
}

TEST_F(FarmStateTest, TakesTheUserFromWhoSubmittedWhereNobodyIsNamed) {
  pb::Batch batch = *SomeBatch();
  batch.set_client("ada@desk:17");
  Feed(SubmitEvent{1, "client", "a", std::make_shared<const pb::Batch>(batch)});
  EXPECT_THAT(state_.WhyWaiting("a"), HasSubstr("no device has ever been seen"));
  Decide(R"(users { user: "ada" batches_max: 1 })");
  EXPECT_THAT(std::string(state_.CheckSubmittable(batch).message()),
              HasSubstr("quota: ada has 1 batches already, of 1 allowed"));
  EXPECT_TRUE(state_.CheckSubmittable(*BatchOf("bob")).ok());
}

TEST_F(FarmStateTest, AUserWithAQuotaOfDevicesGetsNoMore) {
  Decide(R"(users { user: "ada" devices_max: 1 })");
  for (const char* id : {"a1", "a2", "a3", "a4"}) SubmitAs("ada", id);
  Hello();
  Feed(AgentStateEvent{2, StateOf("other", 1, 1, "second", 0)});
  EXPECT_THAT(Granted(1), ElementsAre("a1", "a2"));
  EXPECT_THAT(Granted(2), IsEmpty());
  EXPECT_THAT(state_.WhyWaiting("a3"), HasSubstr("quota: 1 devices work for ada already"));
  Decide("");
  EXPECT_THAT(Granted(2), ElementsAre("a3", "a4"));
}

TEST_F(FarmStateTest, AReservedDeviceWorksForItsUserAlone) {
  Decide(R"(reservations { device: "board" user: "bob" until_unix_ms: 5000 })");
  SubmitAs("ada", "a");
  SubmitAs("bob", "b");
  Hello();
  EXPECT_THAT(Granted(), ElementsAre("b"));
  EXPECT_THAT(state_.WhyWaiting("a"), HasSubstr("board is reserved for bob"));
  Wait(6);
  Hello(1, {"b"});
  EXPECT_THAT(Granted(), ElementsAre("b", "a"));
}

TEST_F(FarmStateTest, ADrainedDeviceFinishesWhatItHas) {
  Submit("a");
  Hello();
  Decide(R"(drained { key: "board" value: "new fan" })");
  Submit("b");
  EXPECT_THAT(Granted(), ElementsAre("a"));
  EXPECT_THAT(state_.WhyWaiting("b"), HasSubstr("drained: new fan"));
  EXPECT_EQ(state_.Devices(now_ns_)[0].state(), pb::DRAINING);
  EXPECT_EQ(state_.Devices(now_ns_)[0].reason(), "drained: new fan");
  Report("a", 1);
  EXPECT_THAT(Granted(), IsEmpty());
  EXPECT_THAT(Results(), ElementsAre("a"));
}

TEST_F(FarmStateTest, RefusesAtOnceWhatNoDeviceCouldEverRun) {
  EXPECT_TRUE(state_.CheckSubmittable(*SomeBatch("board=rpi4")).ok());  // none was seen yet
  Hello();
  const Status status = state_.CheckSubmittable(*SomeBatch("board=rpi4"));
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("no device of this farm could ever run it: board: not board=rpi4"));
  EXPECT_TRUE(state_.CheckSubmittable(*SomeBatch()).ok());
}

TEST_F(FarmStateTest, SaysWhyABatchWaits) {
  for (const char* id : {"a", "b", "c", "d"}) Submit(id);
  Hello();
  EXPECT_EQ(state_.WhyWaiting("a"), "");
  EXPECT_THAT(state_.WhyWaiting("d"),
              HasSubstr("the device that fits is busy; 1 batch of  goes before it"));
  pb::AgentState state = StateOf("agent", 1, 100, "board", 1, {"a", "b"});
  state.mutable_devices(0)->mutable_info()->set_state(pb::QUARANTINED);
  state.mutable_devices(0)->mutable_info()->set_reason("its clock drifts");
  Feed(AgentStateEvent{1, state});
  EXPECT_EQ(state_.WhyWaiting("d"), "board is QUARANTINED: its clock drifts");
}

class NotQuietTest : public FarmStateTest {
 protected:
  void SayNotQuiet(const std::string& device, const std::string& attempt) {
    ReportEvent event{.call = ++call_};
    event.report.set_agent("agent");
    event.report.set_device(device);
    event.report.set_epoch(1);
    event.report.set_batch_id(attempt.substr(0, attempt.find('@')));
    event.report.set_attempt_id(attempt);
    pb::Measurement& measurement = *event.report.mutable_result()->add_measurements();
    measurement.set_failure(pb::NOT_QUIET);
    measurement.set_message("it is too hot");
    *event.report.mutable_batch() = *SomeBatch();
    Feed(std::move(event));
  }
  std::vector<std::string> AttemptsOf(uint64_t session) {
    std::vector<std::string> ids;
    for (const pb::DeviceOrders& device : orders_[session].devices()) {
      for (const pb::Grant& grant : device.grants()) ids.push_back(grant.attempt_id());
    }
    return ids;
  }
  // Agent "other", on session 2, has "spare".
  void HelloOfOther(uint64_t epoch, pb::DeviceState state = pb::READY) {
    pb::AgentState hello = StateOf("other", 1, ++sequence_, "spare", epoch);
    hello.mutable_devices(0)->mutable_info()->set_state(state);
    Feed(AgentStateEvent{2, hello});
  }
};

TEST_F(NotQuietTest, IsTriedOnAnotherDeviceThatFits) {
  Submit("a");
  Hello();
  HelloOfOther(0);
  SayNotQuiet("board", "a@board:1");
  EXPECT_EQ(answer_.reply.outcome(), pb::RETRIED);
  EXPECT_EQ(answer_.reply.message(), "it is too hot");
  EXPECT_THAT(Granted(1), IsEmpty());
  EXPECT_THAT(Granted(2), ElementsAre("a"));
  EXPECT_THAT(Results(), IsEmpty());
}

TEST_F(NotQuietTest, IsTriedOnTheSameDeviceWhereThereIsNoOtherAndGivenUpAfterFive) {
  Submit("a");
  Hello();
  SayNotQuiet("board", "a@board:1");
  for (int i = 1; i < 4; ++i) {
    const std::string attempt = absl::StrCat("a@board:1+", i);
    EXPECT_THAT(AttemptsOf(1), ElementsAre(attempt));
    SayNotQuiet("board", attempt);
    EXPECT_EQ(answer_.reply.outcome(), pb::RETRIED);
  }
  EXPECT_THAT(Results(), IsEmpty());
  SayNotQuiet("board", "a@board:1+4");
  EXPECT_EQ(answer_.reply.outcome(), pb::RECORDED);
  EXPECT_THAT(Results(), ElementsAre("a"));
  EXPECT_EQ(state_.ResultsOf("client")[0].measurements(0).failure(), pb::NOT_QUIET);
}

TEST_F(NotQuietTest, CountsAReportThatComesTwiceOnce) {
  Submit("a");
  Hello();
  SayNotQuiet("board", "a@board:1");
  SayNotQuiet("board", "a@board:1");
  EXPECT_EQ(answer_.reply.outcome(), pb::RETRIED);
  EXPECT_THAT(AttemptsOf(1), ElementsAre("a@board:1+1"));
}

TEST_F(NotQuietTest, ComesBackWhenTheOtherDeviceGoesAway) {
  Submit("a");
  Hello();
  HelloOfOther(0);
  SayNotQuiet("board", "a@board:1");
  EXPECT_THAT(Granted(2), ElementsAre("a"));
  HelloOfOther(1, pb::QUARANTINED);
  EXPECT_THAT(Granted(2), IsEmpty());
  Wait(1);
  EXPECT_THAT(Granted(1), ElementsAre("a"));
}

TEST_F(FarmStateTest, TakesBackWhatADeviceInQuarantineHas) {
  for (const char* id : {"a", "b"}) Submit(id);
  Hello();
  EXPECT_THAT(Granted(), ElementsAre("a", "b"));
  pb::AgentState state = StateOf("agent", 1, ++sequence_, "board", 1, {"a@board:1"});
  state.mutable_devices(0)->mutable_info()->set_state(pb::QUARANTINED);
  Feed(AgentStateEvent{1, state});
  EXPECT_THAT(Granted(), IsEmpty());
  Hello(1);
  EXPECT_THAT(Granted(), ElementsAre("a", "b"));
}

TEST_F(FarmStateTest, HasWhatADriftingDeviceMeasuredMarkedOnce) {
  Submit("a");
  Hello();
  pb::AgentState state = StateOf("agent", 1, ++sequence_, "board", 1);
  pb::Taint& taint = *state.mutable_devices(0)->add_taints();
  taint.set_since_unix_ms(100);
  taint.set_until_unix_ms(200);
  taint.set_reason("it drifted");
  journal_.clear();
  for (int i = 0; i < 3; ++i) {
    state.set_sequence(++sequence_);
    Feed(AgentStateEvent{1, state});
  }
  EXPECT_THAT(journal_, ElementsAre("taint board 100 to 200"));
}

TEST_F(FarmStateTest, MarksAReportThatComesAfterItsTaint) {
  Submit("a");
  Hello();
  pb::AgentState state = StateOf("agent", 1, ++sequence_, "board", 1, {"a@board:1"});
  pb::Taint& taint = *state.mutable_devices(0)->add_taints();
  taint.set_until_unix_ms(200);
  taint.set_reason("it drifted");
  Feed(AgentStateEvent{1, state});
  Report("a", 1);
  EXPECT_EQ(state_.ResultsOf("client")[0].measurements(0).taint(), "it drifted");
}

TEST_F(FarmStateTest, TriesATaintAgainThatCouldNotBeWritten) {
  Hello();
  pb::AgentState state = StateOf("agent", 1, ++sequence_, "board", 1);
  state.mutable_devices(0)->add_taints()->set_until_unix_ms(200);
  journal_status_ = absl::ResourceExhaustedError("disk full");
  Feed(AgentStateEvent{1, state});
  journal_status_ = absl::OkStatus();
  journal_.clear();
  state.set_sequence(++sequence_);
  Feed(AgentStateEvent{1, state});
  EXPECT_THAT(journal_, ElementsAre("taint board 0 to 200"));
}

TEST_F(FarmStateTest, TellsTheAgentThatItsDevicesSpeedWasAccepted) {
  Decide(R"(accepted_unix_ms { key: "board" value: 42 })");
  Hello();
  EXPECT_EQ(orders_[1].devices(0).accepted_unix_ms(), 42);
}

}  // namespace
}  // namespace hone

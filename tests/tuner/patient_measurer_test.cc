#include "tuner/measure/patient_measurer.h"

#include <gmock/gmock.h>

#include <deque>
#include <utility>

namespace hone {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// A farm that says what the test says, then that all is well.
class ScriptedMeasurer : public Measurer {
 public:
  StatusOr<std::string> Submit(const pb::Batch&) override {
    if (const Status status = Next(); !status.ok()) return status;
    return std::string("b");
  }
  StatusOr<std::vector<pb::BatchResult>> Wait(absl::Duration) override {
    if (const Status status = Next(); !status.ok()) return status;
    return std::vector<pb::BatchResult>(1);
  }
  Status Cancel(const std::vector<std::string>&) override { return Next(); }

  std::deque<Status> answers;
  int calls = 0;

 private:
  Status Next() {
    ++calls;
    if (answers.empty()) return absl::OkStatus();
    Status status = std::move(answers.front());
    answers.pop_front();
    return status;
  }
};

class PatientMeasurerTest : public testing::Test {
 protected:
  ScriptedMeasurer farm_;
  int patience_ = 10;  // waits
  std::vector<std::string> told_;
  PatientMeasurer measurer_{farm_, [this](const Status& why) {
                              told_.push_back(std::string(why.message()));
                              return told_.size() <= static_cast<size_t>(patience_);
                            }};
  const Status full_ = absl::ResourceExhaustedError("the disk is full");
};

TEST_F(PatientMeasurerTest, SubmitsAgainUntilThereIsRoomAndSaysWhatItWaitsFor) {
  farm_.answers = {full_, full_};
  EXPECT_EQ(measurer_.Submit({}).value(), "b");
  EXPECT_THAT(told_, ElementsAre("the disk is full", "the disk is full", ""));
  EXPECT_TRUE(measurer_.Submit({}).ok());
  EXPECT_THAT(told_, SizeIs(3)) << "it waits for nothing";
}

TEST_F(PatientMeasurerTest, HasNoResultsWhileTheyCannotBeWrittenDown) {
  farm_.answers = {full_};
  EXPECT_THAT(*measurer_.Wait(absl::ZeroDuration()), IsEmpty());
  EXPECT_THAT(*measurer_.Wait(absl::ZeroDuration()), SizeIs(1));
  EXPECT_THAT(told_, ElementsAre("the disk is full", ""));
}

TEST_F(PatientMeasurerTest, WaitsNoLongerThanItIsTold) {
  patience_ = 3;
  farm_.answers.assign(100, full_);
  EXPECT_EQ(measurer_.Submit({}).status(), full_);
  EXPECT_EQ(farm_.calls, 4);
  EXPECT_EQ(measurer_.Wait(absl::ZeroDuration()).status(), full_);
}

TEST_F(PatientMeasurerTest, OtherErrorsAreNotWaitedFor) {
  const Status wrong = absl::InvalidArgumentError("wrong");
  farm_.answers = {wrong, wrong};
  EXPECT_EQ(measurer_.Submit({}).status(), wrong);
  EXPECT_EQ(measurer_.Wait(absl::ZeroDuration()).status(), wrong);
  EXPECT_THAT(told_, IsEmpty());
}

}  // namespace
}  // namespace hone

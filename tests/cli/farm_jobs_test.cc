// Tuning on a farm as its users see it: tracker, agent, daemons and `hone`, all as the programs
// they are. Tunes for real.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "cli/exit_code.h"
#include "rpc/farm_client.h"
#include "rpc/record_client.h"
#include "rpc/tuning_client.h"
#include "tests/support/terminal.h"
#include "tuner/tuning_session.h"
#include "tuner/work.h"

namespace hone {
namespace {

using testing::HasSubstr;

constexpr absl::Duration kPatience = absl::Seconds(60);
constexpr absl::Duration kPoll = absl::Milliseconds(20);

class FarmJobsTest : public testing::Test, protected Terminal {
 protected:
  FarmJobsTest() : address_(absl::StrCat("unix:", Path("t"))) {
    SetVariable("HONE_TRACKER", address_);
    StartTracker();
    StartAgent();
    user_ = *TuningClient::Connect(address_);
    EXPECT_EQ(Shell("hone zoo tiny").exit_code, 0);
  }

  void StartTracker() {
    Start("tracker", "hone-tracker", {"--listen", address_, "--db", Path("farm.db")});
  }
  void StartAgent() {
    Start("agent", "hone-agent", {"--tracker", address_, "--name", "board", "--quiet"});
    const auto client = FarmClient::Connect({.tracker = address_, .connect_timeout = kPatience});
    ASSERT_TRUE(client.ok()) << client.status();
    Await("a device", [&] {
      const auto status = (*client)->ListDevices();
      return status.ok() && !status->devices.empty();
    });
  }
  void StartDaemon(const std::string& name) {
    Start(name, "hone-tunerd", {"--tracker", address_, "--name", name});
  }
  int64_t Submit(const std::string& arguments) {
    const Outcome outcome = Shell("hone submit " + arguments);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    int64_t id = 0;
    EXPECT_TRUE(absl::SimpleAtoi(absl::StripAsciiWhitespace(outcome.out), &id)) << outcome.out;
    return id;
  }
  pb::Job Find(int64_t id) {
    auto jobs = user_->List();
    // That a tracker was killed is found out by the next call on the connection to it.
    if (absl::IsUnavailable(jobs.status())) jobs = user_->List();
    EXPECT_TRUE(jobs.ok()) << jobs.status();
    if (!jobs.ok()) return {};
    for (const pb::Job& job : jobs->jobs()) {
      if (job.id() == id) return job;
    }
    return {};
  }
  std::vector<pb::Record> Records() {
    const auto records = FetchRecords(address_, {});
    EXPECT_TRUE(records.ok()) << records.status();
    return records.ok() ? *records : std::vector<pb::Record>();
  }
  template <typename Condition>
  void Await(const std::string& what, Condition condition) {
    const absl::Time deadline = absl::Now() + kPatience;
    while (!condition()) {
      ASSERT_LT(absl::Now(), deadline) << "waited in vain for " << what;
      absl::SleepFor(kPoll);
    }
  }

  // Every candidate of every kernel was measured at most once, duels aside and what the moment
  // spoiled, and no kernel more often than was asked for. Returns how many times count: what was
  // spoiled does the fifth time.
  int64_t ExpectNothingTwice(int64_t trials_max) {
    std::map<std::string, std::set<std::string>> tried;          // by kernel
    std::map<std::pair<std::string, std::string>, int> spoiled;  // by kernel and schedule
    for (const pb::Record& record : Records()) {
      if (record.origin() == kDuelOrigin) continue;
      const std::string kernel = absl::StrCat(record.workload_key(), record.layouts());
      if (MayBeTheMoments(record.measurement()) && ++spoiled[{kernel, record.schedule()}] < 5) {
        continue;
      }
      EXPECT_TRUE(tried[kernel].insert(record.schedule()).second)
          << "tried twice: " << record.schedule();
    }
    int64_t trials = 0;
    for (const auto& [kernel, schedules] : tried) {
      EXPECT_LE(static_cast<int64_t>(schedules.size()), trials_max) << kernel;
      trials += static_cast<int64_t>(schedules.size());
    }
    return trials;
  }

  const std::string address_;
  std::unique_ptr<TuningClient> user_;
};

TEST_F(FarmJobsTest, AJobOutlivesItsDaemonAndMeasuresNothingTwice) {
  StartDaemon("first");
  StartDaemon("second");
  const int64_t id = Submit("tiny.onnx --trials 24 --user ada");
  Await("measurements", [&] { return Records().size() > 30; });
  const pb::Job running = Find(id);
  ASSERT_EQ(running.phase(), pb::JOB_RUNNING);
  Kill(running.daemon());
  StartDaemon(running.daemon());

  const Outcome watched = Shell(absl::StrCat("hone watch ", id));
  EXPECT_EQ(watched.exit_code, 0) << watched.err;
  EXPECT_THAT(watched.out, HasSubstr(absl::StrCat("job ", id, " done: ")));
  EXPECT_THAT(watched.err, HasSubstr(" trials"));
  EXPECT_EQ(Find(id).attempts(), 2);
  EXPECT_GT(ExpectNothingTwice(24), 30);

  // What was found serves whoever compiles.
  const Outcome compiled =
      Shell(absl::StrCat("hone compile tiny.onnx -o tiny.so --tracker ", address_));
  EXPECT_EQ(compiled.exit_code, 0) << compiled.err;
  EXPECT_THAT(compiled.out, HasSubstr("8 of 8 kernels tuned"));
  const Outcome listed = Shell("hone jobs --all");
  EXPECT_THAT(listed.out, HasSubstr("ada"));
  EXPECT_THAT(listed.out, HasSubstr("8/8"));
}

TEST_F(FarmJobsTest, TwoJobsOfOneModelShareTheWork) {
  StartDaemon("first");
  StartDaemon("second");
  const int64_t first = Submit("tiny.onnx --trials 8 --user ada");
  const int64_t second = Submit("tiny.onnx --trials 8 --user bob");
  const Outcome watched = Shell(absl::StrCat("hone watch ", first, " && hone watch ", second));
  EXPECT_EQ(watched.exit_code, 0) << watched.err;
  const pb::Job a = *user_->Watch(first, kPatience, [] { return false; }, [](const pb::Job&) {});
  const pb::Job b = *user_->Watch(second, kPatience, [] { return false; }, [](const pb::Job&) {});
  EXPECT_NE(a.daemon(), b.daemon());
  const int64_t measured = ExpectNothingTwice(8);
  // Each measured what the other did not, and both know the best of all.
  EXPECT_EQ(a.progress().trials() + b.progress().trials(), measured);
  for (const pb::Job& job : {a, b}) {
    EXPECT_EQ(job.progress().kernels_size(), 8);
    for (const pb::KernelProgress& kernel : job.progress().kernels()) {
      EXPECT_GT(kernel.best_ns(), 0) << job.id() << " " << kernel.name();
    }
  }
}

TEST_F(FarmJobsTest, ACancelledJobStopsAndMakesRoom) {
  StartDaemon("only");
  const int64_t id = Submit("tiny.onnx --trials 5000 --minutes 10");
  const int64_t next = Submit("tiny.onnx --trials 1");
  Await("measurements", [&] { return !Records().empty(); });
  EXPECT_THAT(Shell(absl::StrCat("hone why ", next)).out,
              HasSubstr("the daemon works on as many jobs as allowed, 1; it is next"));
  EXPECT_EQ(Shell(absl::StrCat("hone cancel ", id)).exit_code, 0);
  EXPECT_EQ(Shell(absl::StrCat("hone watch ", id)).exit_code,
            static_cast<int>(ExitCode::kInterrupted));
  EXPECT_EQ(Shell(absl::StrCat("hone watch ", next)).exit_code, 0);
  EXPECT_FALSE(Records().empty());
}

TEST_F(FarmJobsTest, ATrackerThatIsKilledCostsNoJob) {
  StartDaemon("only");
  const int64_t id = Submit("tiny.onnx --trials 12");
  Await("measurements", [&] { return Records().size() > 10; });
  Kill("tracker");
  StartTracker();
  const Outcome watched = Shell(absl::StrCat("hone watch ", id));
  EXPECT_EQ(watched.exit_code, 0) << watched.err;
  EXPECT_EQ(Find(id).attempts(), 1);
  ExpectNothingTwice(12);
}

TEST_F(FarmJobsTest, ATrackerThatIsKilledAgainAndAgainRefusesNoJobAndLosesNone) {
  constexpr int kKills = 4;
  StartDaemon("first");
  StartDaemon("second");
  std::vector<int64_t> ids = {Submit("tiny.onnx --trials 6 --user ada")};
  size_t measured = 0;
  for (int kill = 0; kill < kKills; ++kill) {
    Await("another measurement",
          [&] { return Records().size() > measured || Find(ids.back()).phase() == pb::JOB_DONE; });
    measured = Records().size();
    Kill("tracker");
    StartTracker();
    // Handed in while the tracker comes back, with more to do each time.
    ids.push_back(Submit(absl::StrCat("tiny.onnx --user bob --trials ", 8 + 2 * kill)));
  }
  for (const int64_t id : ids) {
    EXPECT_EQ(Shell(absl::StrCat("hone watch ", id)).exit_code, 0) << id << ": " << Read("err.txt");
    EXPECT_EQ(Find(id).attempts(), 1) << id;
  }
  ExpectNothingTwice(6 + 2 * kKills);
}

TEST_F(FarmJobsTest, ARunningJobSaysWhyItsBatchesWait) {
  StartDaemon("only");
  const int64_t id = Submit("tiny.onnx --trials 5000 --minutes 10 --user ada");
  Await("measurements", [&] { return !Records().empty(); });
  const auto await_why = [&](const std::string& what) {
    std::string why;
    Await(what, [&] {
      why = Shell(absl::StrCat("hone why ", id)).out;
      return why == what + "\n";
    });
    EXPECT_EQ(why, what + "\n");
  };
  EXPECT_EQ(Shell("hone farm drain board --why 'a new fan'").exit_code, 0);
  await_why("its batches wait: board is drained: a new fan");
  EXPECT_THAT(Shell("hone jobs").out, HasSubstr("board is drained: a new fan"));
  EXPECT_EQ(
      Shell("hone farm undrain board && hone farm reserve board --user bob --hours 1").exit_code,
      0);
  await_why("its batches wait: board is reserved for bob");
  EXPECT_EQ(Shell("hone farm release board").exit_code, 0);
  await_why("it does not wait: daemon only tunes it");
  Kill("only");
  Await("its silence to be seen", [&] {
    const std::string why = Shell(absl::StrCat("hone why ", id)).out;
    return why.starts_with("daemon only has not been heard of for ");
  });
  EXPECT_EQ(Shell(absl::StrCat("hone cancel ", id)).exit_code, 0);
  EXPECT_EQ(Shell(absl::StrCat("hone why ", id)).out,
            "it does not wait, it has ended: cancelled\n");
}

TEST_F(FarmJobsTest, OneKernelCanBeAJob) {
  StartDaemon("only");
  Write("kernel.txt",
        "workload/1\ninput x f32 [48,48]\nconstant w f32 [48,48]\noutput y f32 [48,48]\n"
        "stage y f32 [m:48,n:48] sum [k:48] = x[m,k]*w[k,n]\n");
  const int64_t id = Submit("--workload \"$(cat kernel.txt)\" --trials 4");
  EXPECT_EQ(Shell(absl::StrCat("hone watch ", id)).exit_code, 0) << Read("err.txt");
}

TEST_F(FarmJobsTest, WhatCannotBeDoneIsRefusedAtOnceInOneLine) {
  const auto refused = [&](const std::string& line, const std::string& what) {
    const Outcome outcome = Shell(line);
    EXPECT_NE(outcome.exit_code, 0) << line;
    EXPECT_THAT(outcome.err, HasSubstr(what)) << line;
    EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  };
  const std::string model = Read("tiny.onnx");
  std::string unknown = model;
  unknown.replace(unknown.find("\"\x04"
                               "Conv") +
                      2,
                  4, "Kurv");  // op_type, of length 4
  Write("kurv.onnx", unknown);
  refused("hone submit kurv.onnx", "node 'conv1' (Kurv, opset 13)");
  refused("hone submit tiny.onnx --device arch=mips", "no device matches 'arch=mips': board is");
  refused("hone submit tiny.onnx --device 'cores>='", "cores>=");
  refused("hone submit tiny.onnx --numerics fp23", "no numerics class 'fp23'");
  refused("hone submit", "name what to tune");
  refused("hone submit --workload nonsense", "workload");
  refused("hone submit absent.onnx", "absent.onnx");
  refused("hone watch 99", "there is no job 99");
  refused("hone cancel 99", "there is no job 99");
  refused("hone why 99", "there is no job 99");
  refused("HONE_TRACKER= hone jobs", "no tracker named");
  EXPECT_TRUE(user_->List()->jobs().empty());
}

}  // namespace
}  // namespace hone

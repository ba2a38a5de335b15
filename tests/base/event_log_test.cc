#include "base/event_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace hone {
namespace {

// 2026-11-21T15:04:05.678Z
constexpr int64_t kWhen = 1'795'273'445'678;

class FixedClock : public Clock {
 public:
  int64_t MonotonicNanos() const override { return 0; }
  int64_t UnixMillis() const override { return kWhen; }
};

TEST(EventLogTest, WritesOneLineAnEvent) {
  EXPECT_EQ(EventLine(LogFormat::kText, kWhen, Event::kDeviceState,
                      {{"device", "pi-3"}, {"from", "ready"}, {"why", "too hot: 81 C"}}),
            "2026-11-21T15:04:05.678Z info device.state device=pi-3 from=ready "
            "why=\"too hot: 81 C\"");
  EXPECT_EQ(EventLine(LogFormat::kJson, kWhen, Event::kLeaseGranted,
                      {{"device", "pi-3"}, {"epoch", int64_t{7}}, {"share", 0.5}}),
            "{\"time\":\"2026-11-21T15:04:05.678Z\",\"level\":\"info\",\"event\":\"lease.granted\","
            "\"device\":\"pi-3\",\"epoch\":7,\"share\":0.5}");
}

TEST(EventLogTest, LetsNoNameForgeALineOrAField) {
  const std::string hostile("x\nfake=1 \"q\" \\ \x01\xff\xc3\xa9");
  const std::string text =
      EventLine(LogFormat::kText, kWhen, Event::kAgentGone, {{"agent", hostile}, {"empty", ""}});
  EXPECT_THAT(text, testing::EndsWith(R"(agent="x\nfake=1 \"q\" \\ \u0001)"
                                      "\xEF\xBF\xBD\xc3\xa9\" empty=\"\""));
  const std::string json =
      EventLine(LogFormat::kJson, kWhen, Event::kAgentGone, {{"agent", hostile}});
  EXPECT_THAT(json, testing::Not(testing::HasSubstr("\n")));
  EXPECT_THAT(json, testing::HasSubstr(R"("agent":"x\nfake=1 \"q\" \\ \u0001)"));
}

TEST(EventLogTest, KnowsEachEventOnceAndUnderItsNumber) {
  std::set<std::string> names;
  for (size_t i = 0; i < EventKinds().size(); ++i) {
    EXPECT_EQ(static_cast<size_t>(EventKinds()[i].event), i) << EventKinds()[i].name;
    EXPECT_TRUE(names.insert(EventKinds()[i].name).second) << EventKinds()[i].name;
  }
}

TEST(EventLogTest, GivesLinesToItsSinkAndNothingWithoutOne) {
  const FixedClock clock;
  std::vector<std::string> lines;
  const EventLog log(LogFormat::kText, clock,
                     [&](LogLevel level, const std::string& line) { lines.push_back(line); });
  log.Write(Event::kJournalRecovered, {});
  EXPECT_THAT(lines, testing::ElementsAre("2026-11-21T15:04:05.678Z info journal.recovered"));
  EventLog(LogFormat::kText, clock, nullptr).Write(Event::kJournalRecovered, {});
}

TEST(EventLogTest, RefusesFormatsThatItDoesNotKnow) {
  EXPECT_EQ(ParseLogFormat("json").value(), LogFormat::kJson);
  EXPECT_THAT(std::string(ParseLogFormat("xml").status().message()),
              testing::HasSubstr("text and json"));
}

}  // namespace
}  // namespace hone

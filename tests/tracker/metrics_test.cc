#include "tracker/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/event_log.h"
#include "tests/support/demo_farm.h"

namespace hone {
namespace {

using testing::HasSubstr;

std::string ReadSource(const std::string& path) {
  std::ifstream in(absl::StrCat(std::getenv("HONE_SOURCE_DIR"), "/", path));
  EXPECT_TRUE(in.good()) << path;
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::set<std::string> Names() {
  std::set<std::string> names;
  for (const MetricKind& kind : MetricKinds()) {
    names.insert(kind.name);
    if (std::string(kind.type) != "histogram") continue;
    for (const char* part : {"_bucket", "_sum", "_count"}) {
      names.insert(absl::StrCat(kind.name, part));
    }
  }
  return names;
}

// Every word of the text that begins like a metric of ours.
std::set<std::string> NamesIn(const std::string& text) {
  static const std::regex kName("\\bhone_[a-z_]+");
  return {std::sregex_token_iterator(text.begin(), text.end(), kName),
          std::sregex_token_iterator()};
}

TEST(MetricsTest, SaysEachSampleInPrometheusForm) {
  const std::string text = MetricsText(DemoFarm(0));
  static const std::regex kSample(
      R"(^[a-z_]+(\{[a-z]+="([^"\\\n]|\\\\|\\"|\\n)*"\})? (-?[0-9.e+-]+|NaN|[+-]Inf)$)");
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    if (absl::StartsWith(line, "# ")) continue;
    EXPECT_TRUE(std::regex_match(std::string(line), kSample)) << line;
  }
  EXPECT_THAT(text, HasSubstr("hone_devices{state=\"busy\"} 5\n"));
  EXPECT_THAT(text, HasSubstr("hone_measurements_total{result=\"crash\"} 31\n"));
  EXPECT_THAT(text, HasSubstr("hone_user_batches_waiting{user=\"ada\"} 412\n"));
  EXPECT_THAT(text, HasSubstr("hone_jobs{phase=\"running\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("hone_builder_slots 64\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE hone_batch_seconds histogram\n"));
}

TEST(MetricsTest, AccumulatesBucketsOfHistograms) {
  pb::FarmSnapshot snapshot;
  pb::Histogram& histogram = *snapshot.mutable_totals()->mutable_batch_seconds();
  histogram.add_bounds(0.5);
  histogram.add_bounds(2);
  for (const int count : {3, 4, 5}) histogram.add_counts(count);
  histogram.set_sum(30.5);
  EXPECT_THAT(MetricsText(snapshot), HasSubstr("hone_batch_seconds_bucket{le=\"0.5\"} 3\n"
                                               "hone_batch_seconds_bucket{le=\"2\"} 7\n"
                                               "hone_batch_seconds_bucket{le=\"+Inf\"} 12\n"
                                               "hone_batch_seconds_sum 30.5\n"
                                               "hone_batch_seconds_count 12\n"));
}

TEST(MetricsTest, LetsNoUsersNameForgeASample) {
  pb::FarmSnapshot snapshot;
  snapshot.add_users()->set_user("a\"} 1\nhone_devices{state=\"lost");
  EXPECT_THAT(MetricsText(snapshot),
              HasSubstr("{user=\"a\\\"} 1\\nhone_devices{state=\\\"lost\"} 0\n"));
}

TEST(MetricsTest, GrowsNeitherWithDevicesNorWithBatches) {
  pb::FarmSnapshot large = DemoFarm(0);
  for (int i = 0; i < 1000; ++i) {
    large.add_devices()->mutable_info()->set_name(absl::StrCat("device-", i));
    large.add_queue()->set_user("ada");
    large.add_curves()->set_workload_key(absl::StrCat("key-", i));
    large.add_users()->set_user(absl::StrCat("user-", i));
  }
  const std::string text = MetricsText(large);
  EXPECT_THAT(text, testing::Not(HasSubstr("device-1")));
  EXPECT_THAT(text, testing::Not(HasSubstr("key-1")));
  EXPECT_THAT(text, testing::Not(HasSubstr("user-100\"")));
  EXPECT_LT(text.size(), 20'000u);
}

TEST(MetricsTest, AreAllInTheManual) {
  const std::set<std::string> documented = NamesIn(ReadSource("docs/manual.md"));
  for (const MetricKind& kind : MetricKinds()) {
    EXPECT_TRUE(documented.contains(kind.name)) << kind.name;
  }
}

TEST(EventLogTest, HasAllItsEventsInTheManual) {
  const std::string manual = ReadSource("docs/manual.md");
  for (const EventKind& kind : EventKinds()) {
    EXPECT_THAT(manual, HasSubstr(absl::StrCat("| `", kind.name, "` | "))) << kind.name;
  }
}

TEST(DashboardTest, AsksForMetricsThatThereAre) {
  const std::string text = ReadSource("deploy/grafana/hone-farm.json");
  const nlohmann::json dashboard = nlohmann::json::parse(text);
  EXPECT_GE(dashboard.at("panels").size(), 8u);
  for (const auto& panel : dashboard.at("panels")) {
    if (panel.at("type") == "row") continue;
    EXPECT_FALSE(panel.at("title").get<std::string>().empty());
    for (const auto& target : panel.at("targets")) {
      const std::set<std::string> names = NamesIn(target.at("expr").get<std::string>());
      EXPECT_FALSE(names.empty()) << panel.at("title");
    }
  }
  const std::set<std::string> known = Names();
  for (const std::string& name : NamesIn(text)) EXPECT_TRUE(known.contains(name)) << name;
}

// The rules are YAML of the plainest kind: one key a line, two blanks a level.
TEST(AlertRulesTest, AskForMetricsThatThereAreAndSayWhatToDo) {
  const std::string text = ReadSource("deploy/prometheus/hone-alerts.yml");
  static const std::regex kLine("^ *(- )?[a-z_]+: ?.*$|^ *#.*$|^$");
  std::map<std::string, int> keys;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    EXPECT_TRUE(std::regex_match(std::string(line), kLine)) << line;
    EXPECT_FALSE(absl::StrContains(line, '\t')) << line;
    const size_t begin = line.find_first_not_of(" -");
    EXPECT_TRUE(begin == absl::string_view::npos || begin % 2 == 0) << line;
    if (begin != absl::string_view::npos)
      ++keys[std::string(line.substr(begin, line.find(':') - begin))];
  }
  EXPECT_GE(keys["alert"], 8);
  EXPECT_EQ(keys["expr"], keys["alert"]);
  EXPECT_EQ(keys["summary"], keys["alert"]);
  EXPECT_EQ(keys["description"], keys["alert"]);
  const std::set<std::string> known = Names();
  for (const std::string& name : NamesIn(text)) EXPECT_TRUE(known.contains(name)) << name;
}

}  // namespace
}  // namespace hone

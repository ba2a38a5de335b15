// Every text form prints what it parsed, reads all versions that ever were (tests/golden/corpus),
// and answers damaged texts with an error.
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <random>

#include "absl/strings/strip.h"
#include "base/target.h"
#include "compiler/ir/layout.h"
#include "compiler/ir/program_text.h"
#include "compiler/ir/workload.h"
#include "compiler/schedule/schedule.h"
#include "tests/support/golden.h"
#include "tuner/space/sketch.h"

namespace hone {
namespace {

template <typename T>
StatusOr<std::string> Printed(StatusOr<T> parsed) {
  HONE_RETURN_IF_ERROR(parsed.status());
  return parsed->ToString();
}

using Reprint = std::function<StatusOr<std::string>(const std::string&)>;

const std::map<std::string, Reprint>& Forms() {
  static const auto& forms = *new std::map<std::string, Reprint>{
      {"target",
       [](const std::string& text) -> StatusOr<std::string> {
         HONE_ASSIGN_OR_RETURN(Target target, Target::Parse(absl::StripSuffix(text, "\n")));
         return target.ToString() + "\n";
       }},
      {"layout",
       [](const std::string& text) -> StatusOr<std::string> {
         HONE_ASSIGN_OR_RETURN(Layout layout, Layout::Parse(absl::StripSuffix(text, "\n")));
         return layout.ToString() + "\n";
       }},
      {"workload", [](const std::string& text) { return Printed(Workload::Parse(text)); }},
      {"schedule", [](const std::string& text) { return Printed(Schedule::Parse(text)); }},
      {"sketch", [](const std::string& text) { return Printed(Sketch::Parse(text)); }},
      {"program",
       [](const std::string& text) -> StatusOr<std::string> {
         HONE_ASSIGN_OR_RETURN(Program program, ParseProgram(text));
         return ToString(program);
       }},
  };
  return forms;
}

TEST(TextFormsTest, PrintWhatTheyParsed) {
  for (const GoldenFile& file : GoldenFiles("corpus")) {
    for (const GoldenFile::Section& section : file.sections) {
      SCOPED_TRACE(file.path + ": " + section.title);
      auto printed = Forms().at(section.title)(section.text);
      ASSERT_TRUE(printed.ok()) << printed.status();
      EXPECT_EQ(*printed, section.text);
    }
  }
}

// One to four bytes changed, left out or doubled.
std::string Damaged(std::string text, std::mt19937_64& random) {
  for (uint64_t i = 0; i <= random() % 4 && !text.empty(); ++i) {
    const size_t at = random() % text.size();
    switch (random() % 4) {
      case 0:
        text[at] = static_cast<char>(random() % 128);
        break;
      case 1:
        text.erase(at, 1 + random() % 5);
        break;
      case 2:
        text.insert(at, text.substr(at, random() % 9));
        break;
      case 3:
        text[at] = "0123456789()[],.:-@+*/ \n"[random() % 24];
        break;
    }
  }
  return text;
}

TEST(TextFormsTest, AnswerDamagedTextsWithAValueOrAnError) {
  std::mt19937_64 random(1);
  for (const GoldenFile& file : GoldenFiles("corpus")) {
    for (const GoldenFile::Section& section : file.sections) {
      for (int round = 0; round < 2000; ++round) {
        const std::string text = Damaged(section.text, random);
        auto printed = Forms().at(section.title)(text);
        if (printed.ok()) {
          auto again = Forms().at(section.title)(*printed);
          ASSERT_TRUE(again.ok()) << again.status() << "\n" << text;
          ASSERT_EQ(*again, *printed) << text;
        } else {
          EXPECT_FALSE(printed.status().message().empty());
        }
      }
    }
  }
}

}  // namespace
}  // namespace hone

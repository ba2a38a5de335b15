// What the fuzz program has found before: the cases of tests/golden/cases, each replayed as machine
// code and by the interpreter. One that says "# refused" is one that the compiler must refuse.
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "tests/fuzz/fuzz_case.h"
#include "tests/support/golden.h"

namespace hone {
namespace {

TEST(FoundCasesTest, StayFixed) {
  for (const GoldenFile& file : GoldenFiles("cases")) {
    SCOPED_TRACE(file.path);
    const std::string& text = file.comment;
    auto fuzz_case = FuzzCase::Parse(text);
    ASSERT_TRUE(fuzz_case.ok()) << fuzz_case.status();
    EXPECT_EQ(FuzzCase::Parse(fuzz_case->ToString())->ToString(), fuzz_case->ToString());
    const Verdict::Kind want =
        absl::StrContains(text, "# refused") ? Verdict::kRefused : Verdict::kAgrees;
    for (const RunBy way : {RunBy::kInterpreter, RunBy::kMachine}) {
      fuzz_case->run_by = way;
      const Verdict verdict = Check(*fuzz_case);
      EXPECT_EQ(verdict.kind, want) << verdict.message;
    }
  }
}

}  // namespace
}  // namespace hone

#include "cli/tuning_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

using testing::HasSubstr;
using testing::Not;

// What is wrong with the elements' nesting, or "". Reads tags as the page writes them: attributes
// in double quotes, texts without a bare '<'.
std::string NestingProblem(const std::string& html) {
  const std::set<std::string> kVoid = {"!DOCTYPE", "meta", "br"};
  std::vector<std::string> open;
  for (size_t at = html.find('<'); at != std::string::npos; at = html.find('<', at)) {
    bool quoted = false;
    size_t end = at + 1;
    for (; end < html.size() && (quoted || html[end] != '>'); ++end) {
      if (html[end] == '"') quoted = !quoted;
      if (html[end] == '<') return absl::StrCat("'<' inside a tag: ", html.substr(at, 40));
    }
    if (end == html.size()) return absl::StrCat("a tag never ends: ", html.substr(at, 40));
    const bool closes = html[at + 1] == '/';
    const size_t begin = at + 1 + (closes ? 1 : 0);
    const std::string name = html.substr(begin, html.find_first_of(" />", begin) - begin);
    if (closes) {
      if (open.empty() || open.back() != name) {
        return absl::StrCat("</", name, "> closes ", open.empty() ? "nothing" : open.back());
      }
      open.pop_back();
    } else if (html[end - 1] != '/' && kVoid.count(name) == 0) {
      open.push_back(name);
    }
    at = end;
    // A script is no markup.
    if (name == "script" && !closes) at = html.find("</script", at);
  }
  return open.empty() ? "" : absl::StrCat(open.back(), " is never closed");
}

TuningFacts Facts() {
  TuningFacts facts;
  facts.model = "tiny<3>.onnx";
  facts.target.cpu = "znver3";
  facts.target.features = {"avx", "avx2", "fma"};
  facts.target.l3_bytes = 32 << 20;
  facts.tool_version = "1.2.3";
  facts.seed = 7;
  return facts;
}

TuningState OneKernel() {
  TuningState state;
  WorkloadState kernel;
  kernel.name = "conv<\"3x3\" & more>";
  kernel.calls = 3;
  kernel.flops = 200e6;
  kernel.roofline = {.flops = 200e6, .bytes = 1e6, .ns = 1.8e6, .bound = Bound::kCompute};
  kernel.default_ns = 4e6;
  kernel.best_ns = 2e6;
  kernel.best_schedule = "schedule/1\nsplit y n ?a<b";
  kernel.reason = "no more gains";
  kernel.failures = 1;
  kernel.trials = {{.predicted_ns = 3e6, .cost_ns = 4e6, .origin = "prior"},
                   {.predicted_ns = 3.5e6, .failure = pb::TIMEOUT, .origin = "prior", .seconds = 1},
                   {.predicted_ns = 3.2e6,
                    .expected_ns = 2.5e6,
                    .cost_ns = 2e6,
                    .origin = "local",
                    .seconds = 2}};
  state.workloads = {kernel};
  state.trials = 2;
  state.elapsed_s = 4;
  state.speed.set_peak_gflops(111);
  state.finished = true;
  return state;
}

TEST(TuningPageTest, IsWellFormedAndEscapesEveryName) {
  const std::string page = TuningPage(OneKernel(), Facts());
  EXPECT_EQ(NestingProblem(page), "");
  EXPECT_THAT(page, HasSubstr("conv&lt;&quot;3x3&quot; &amp; more&gt;"));
  EXPECT_THAT(page, Not(HasSubstr("conv<")));
  EXPECT_THAT(page, HasSubstr("<h1>tiny&lt;3&gt;.onnx</h1>"));
  EXPECT_THAT(page, HasSubstr("split y n ?a&lt;b</pre>"));
}

TEST(TuningPageTest, NeedsNothingFromOutside) {
  const std::string page = TuningPage(OneKernel(), Facts());
  for (const char* outside : {"http:", "https:", "src=", "@import", "url("}) {
    EXPECT_THAT(page, Not(HasSubstr(outside)));
  }
}

TEST(TuningPageTest, ShowsTheCertificateTheCurvesAndWhatFailed) {
  const std::string page = TuningPage(OneKernel(), Facts());
  EXPECT_THAT(page, HasSubstr("<b>90.0 % of the limit</b>, gap 10.0 %: 200 MFLOP at the machine's "
                              "peak take at least 1.80 ms. Ended: no more gains."));
  EXPECT_THAT(page, HasSubstr("Failed (red crosses): 1 by timeout."));
  EXPECT_THAT(page, HasSubstr("best so far, against trials"));
  EXPECT_THAT(page, HasSubstr("best so far, against seconds"));
  EXPECT_THAT(page, HasSubstr("predicted against measured"));
  EXPECT_THAT(page, HasSubstr("kernels under the roofline"));
  EXPECT_THAT(page,
              HasSubstr("trial 3: 2.00 ms, predicted 3.20 ms, after learning 2.50 ms, from local"));
  EXPECT_THAT(page, HasSubstr("trial 2: timeout, predicted 3.50 ms, from prior"));
  EXPECT_THAT(page, HasSubstr("111.0 GFLOP/s fp32"));
  EXPECT_THAT(page, HasSubstr("1 known from before"));
}

TEST(TuningPageTest, ShowsASessionThatOnlyKnewWhatWasMeasuredBefore) {
  TuningState state = OneKernel();
  for (Trial& trial : state.workloads[0].trials) trial.seconds.reset();
  state.trials = 0;
  const std::string page = TuningPage(state, Facts());
  EXPECT_EQ(NestingProblem(page), "");
  EXPECT_THAT(page, HasSubstr("All its trials are of earlier sessions."));
  EXPECT_THAT(page, HasSubstr("best so far, against trials"));
}

TEST(TuningPageTest, SaysThatItWasInterrupted) {
  TuningFacts facts = Facts();
  facts.interrupted = true;
  EXPECT_THAT(TuningPage(OneKernel(), facts), HasSubstr("Stopped before the end."));
}

TEST(TuningPageTest, StandsWhenNothingWasMeasured) {
  TuningState state;
  state.workloads.resize(2);
  state.workloads[0].name = "conv";
  state.workloads[1].reason = "no candidate is legal for it";
  for (const TuningState& empty : {state, TuningState()}) {
    const std::string page = TuningPage(empty, Facts());
    EXPECT_EQ(NestingProblem(page), "");
    EXPECT_THAT(page, HasSubstr("Nothing was measured, so there is nothing to draw."));
    EXPECT_THAT(page, Not(HasSubstr("nan")));
    EXPECT_THAT(page, Not(HasSubstr("<svg")));
  }
  EXPECT_THAT(TuningPage(state, Facts()), HasSubstr("Not tuned: no candidate is legal for it."));
}

}  // namespace
}  // namespace hone

#include "bench/kernel_problem.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/avx2_target.h"

namespace hone {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class KernelProblemTest : public testing::Test {
 protected:
  // A list of this text.
  std::string Write(const std::string& text) const {
    const std::string name = testing::UnitTest::GetInstance()->current_test_info()->name();
    const std::string path = testing::TempDir() + "/" + name + ".txt";
    std::ofstream(path) << text;
    return path;
  }

  // What reading the text is refused with.
  std::string Refusal(const std::string& text) const {
    const auto problems = ReadProblems(Write(text));
    EXPECT_EQ(problems.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(problems.status().message());
  }
};

TEST_F(KernelProblemTest, ALineIsAProblem) {
  const auto problems = ReadProblems(
      Write("# a list\n\nconv c=64 hw=56 o=32 k=3 s=2 count=3  # the first\nmatmul m=2 n=3 k=5\n"));
  ASSERT_TRUE(problems.ok()) << problems.status();
  ASSERT_EQ(problems->size(), 2u);
  const KernelProblem& conv = problems->at(0);
  EXPECT_EQ(conv.list, "ALineIsAProblem");
  EXPECT_EQ(conv.name, "conv c=64 hw=56 o=32 k=3 s=2");
  EXPECT_EQ(conv.count, 3);
  EXPECT_EQ(conv.numbers.kind, HONE_PEER_CONVOLUTION);
  EXPECT_EQ(conv.numbers.channels, 64);
  EXPECT_EQ(conv.numbers.groups, 1);
  EXPECT_EQ(conv.numbers.outputs, 32);
  EXPECT_EQ(conv.numbers.stride, 2);
  EXPECT_EQ(problems->at(1).count, 1);
  EXPECT_EQ(WorkloadOf(problems->at(1)).ToString(),
            "workload/1\n"
            "input x f32 [2,5]\n"
            "constant w f32 [5,3]\n"
            "output y f32 [2,3]\n"
            "stage y f32 [m:2,n:3] sum [k:5] = x[m,k]*w[k,n]\n");
}

TEST_F(KernelProblemTest, EveryChannelOfADepthwiseConvolutionIsAGroup) {
  const auto problems = ReadProblems(Write("depthwise c=96 hw=112 k=3 s=2\n"));
  ASSERT_TRUE(problems.ok()) << problems.status();
  EXPECT_EQ(problems->at(0).numbers.groups, 96);
  EXPECT_EQ(problems->at(0).numbers.outputs, 96);
}

TEST_F(KernelProblemTest, AnUnknownKindNamesFileAndLine) {
  EXPECT_THAT(Refusal("# a list\nmatmul m=2 n=3 k=5\nfft n=8\n"),
              AllOf(HasSubstr("AnUnknownKindNamesFileAndLine.txt:3: "), HasSubstr("no kind 'fft'"),
                    HasSubstr("attention")));
}

TEST_F(KernelProblemTest, AMissingNumberIsNamed) {
  EXPECT_THAT(Refusal("matmul m=2 k=5\n"), HasSubstr(".txt:1: no n="));
}

TEST_F(KernelProblemTest, ANumberTheKindDoesNotHaveIsNamed) {
  EXPECT_THAT(Refusal("softmax m=2 n=3 k=5\n"), HasSubstr(".txt:1: softmax has no 'k'"));
}

TEST_F(KernelProblemTest, AWordWithoutANumberAboveZeroIsNamed) {
  for (const char* word : {"n", "n=", "n=0", "n=-3", "n=many"}) {
    EXPECT_THAT(Refusal(std::string("softmax m=2 ") + word + "\n"),
                HasSubstr(std::string(".txt:1: '") + word + "' is not like name=number"));
  }
}

TEST_F(KernelProblemTest, AListThatIsNotThereIsRefused) {
  EXPECT_FALSE(ReadProblems(testing::TempDir() + "/no-such-list.txt").ok());
}

TEST_F(KernelProblemTest, ImagesAreInBlocksOfChannelsWhereTheseDivide) {
  const auto problems = ReadProblems(Write("conv c=64 hw=8 o=20 k=1 s=1\nmatmul m=2 n=8 k=8\n"));
  ASSERT_TRUE(problems.ok()) << problems.status();
  const auto layouts = [&](int i) {
    const Workload workload = WorkloadOf(problems->at(i));
    std::vector<std::string> texts;
    for (const Layout& layout : LayoutsOf(problems->at(i), workload, Avx2Target())) {
      texts.push_back(layout.ToString());
    }
    return texts;
  };
  const std::string blocked = Layout::Blocked(3, 1, 8).ToString();
  EXPECT_EQ(layouts(0)[0], blocked);
  EXPECT_EQ(layouts(0).back(), Layout::Identity(3).ToString());
  for (const std::string& layout : layouts(1)) EXPECT_EQ(layout, Layout::Identity(2).ToString());
}

}  // namespace
}  // namespace hone

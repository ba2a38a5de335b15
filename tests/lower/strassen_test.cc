// Products of matrices by Strassen's algorithm compute what the oracle says: odd extents, batches,
// strides, convolutions of 1x1, products of products; and err little more than sums in sequence.
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/lower/oracle_check.h"
#include "tests/support/avx2_target.h"

namespace hone {
namespace {

std::string Product(int64_t m, int64_t n, int64_t k) {
  return absl::StrCat("workload/1\ninput x f32 [", m, ",", k, "]\nconstant w f32 [", k, ",", n,
                      "]\noutput y f32 [", m, ",", n, "]\nstage c f32 [m:", m, ",n:", n,
                      "] sum [k:", k, "] = x[m,k]*w[k,n]\nstage y f32 [m:", m, ",n:", n,
                      "] = max(c[m,n],0x0p+0)\n");
}

TEST(StrassenTest, OfOddExtents) {
  for (int64_t m : {2, 5, 7}) {
    for (int64_t n : {2, 3, 16}) {
      for (int64_t k : {2, 9, 13})
        ExpectOracle(Product(m, n, k), "strassen c m n k 1\nprepare c.g\n");
    }
  }
}

TEST(StrassenTest, OfBlocksThatDoNotDivideTheColumns) {
  ExpectOracle(Product(5, 19, 7), "strassen c m n k 8\nprepare c.g\n");
  ExpectOracle(Product(5, 37, 7), "strassen c m n k 3\nprepare c.g\n");
}

TEST(StrassenTest, OfStripsAndGroups) {
  const char* const steps =
      "strassen c m n k 8\ninline c\nprepare c.g\ntile y n 16\ntile y n.1 8\ntile y m 4\n"
      "tile y m.1 2\nreorder y m.0 n.0 m.1.0 m.1.1 n.1.0 n.1.1\nunroll y m.1.1\nunroll y n.1.0\n"
      "vectorize y n.1.1\nat c.m y n.0\nat c.d y m.0\n";
  ExpectOracle(Product(12, 48, 16), steps);
  ExpectOracle(Product(11, 32, 15), steps);
}

TEST(StrassenTest, OfProductsOfItself) {
  ExpectOracle(Product(9, 11, 10), "strassen c m n k 2\nstrassen c.m m n k 1\n");
  ExpectOracle(Product(16, 32, 24), "strassen c m n k 8\nstrassen c.m m n k 8\nprepare c.g\n");
}

TEST(StrassenTest, OfOperandsTheOtherWayRound) {
  ExpectOracle(Product(9, 11, 10), "strassen c n m k 1\n");
}

TEST(StrassenTest, OfBatchesWithTransposedWeights) {
  ExpectOracle(
      "workload/1\ninput x f32 [3,5,8]\ninput w f32 [3,7,8]\noutput y f32 [3,5,7]\n"
      "stage y f32 [b:3,m:5,n:7] sum [k:8] = x[b,m,k]*w[b,n,k]\n",
      "strassen y m n k 2\n");
}

TEST(StrassenTest, OfConvolutionsWithoutAWindow) {
  ExpectOracle(
      "workload/1\ninput x f32 [2,6,8,7]\nconstant w f32 [9,6]\noutput y f32 [2,9,4,4]\n"
      "stage y f32 [n:2,o:9,h:4,w:4] sum [i:6] = x[n,i,h*2,w*2]*w[o,i]\n",
      "strassen y h o i 4\nprepare y.g\n");
}

TEST(StrassenTest, OfChannelsUnderPaddedWindows) {
  ExpectOracle(
      "workload/1\ninput x f32 [4,6,5,7]\nconstant w f32 [9,6,3,3]\noutput y f32 [4,9,5,7]\n"
      "stage y f32 [n:4,o:9,h:5,w:7] sum [i:6,p:3,q:3] = "
      "x[n,i,h+p+-1,w+q+-1 else 0x0p+0]*w[o,i,p,q]\n",
      "strassen y n o i 4\nprepare y.g\n");
}

TEST(StrassenTest, ErrsLittleMoreThanSumsInSequence) {
  const Workload workload = *Workload::Parse(Product(64, 64, 256));
  const auto error = [&](absl::string_view steps) {
    std::mt19937_64 inputs(7);
    return RmsErrorAgainstOracle(workload, *Schedule::Parse(absl::StrCat("schedule/1\n", steps)),
                                 Avx2Target(1), inputs)
        .value();
  };
  const double sequential = error("");
  EXPECT_LT(error("strassen c m n k 8\n"), 4 * sequential) << "the bound of class fp32";
  EXPECT_LT(error("strassen c m n k 8\nstrassen c.m m n k 8\n"), 64 * sequential);
}

}  // namespace
}  // namespace hone

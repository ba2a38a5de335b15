// Stages whose dims were made one compute what the oracle says: those of the result, with and
// without windows, those that reduce, and where loops go over pieces that end within short rows.
#include <gtest/gtest.h>

#include "tests/lower/oracle_check.h"

namespace hone {
namespace {

constexpr char kBatched[] =
    "workload/1\ninput a f32 [3,5,8]\nconstant w f32 [8,16]\noutput y f32 [3,5,16]\n"
    "stage c f32 [b:3,m:5,n:16] sum [k:8] = a[b,m,k]*w[k,n]\n"
    "stage y f32 [b:3,m:5,n:16] = max(c[b,m,n],0x0p+0)\n";
constexpr char kStrided[] =
    "workload/1\ninput x f32 [2,3,11,13]\nconstant w f32 [9,3,5,3]\noutput y f32 [2,9,5,7]\n"
    "stage c f32 [n:2,o:9,h:5,w:7] sum [i:3,p:5,q:3] = "
    "x[n,i,h*2+p+-1,w*2+q+-1 else 0x0p+0]*w[o,i,p,q]\n"
    "stage y f32 [n:2,o:9,h:5,w:7] = max(c[n,o,h,w],0x0p+0)\n";

TEST(FlattenTest, OfAllRowsAtOnce) {
  ExpectOracle(kBatched, "flatten c b m\n");
  ExpectOracle(kStrided, "flatten c h w\n");
  ExpectOracle(kStrided, "flatten c w o\n");
}

TEST(FlattenTest, OfRowsInPiecesThatEndWithinThem) {
  ExpectOracle(kBatched, "flatten c b m\nfuse y b m\ntile y b_m 4\nat c y b_m.0\n");
  ExpectOracle(kBatched,
               "flatten c b m\nfuse y b m\ntile y b_m 4\ntile y n 8 by 8\n"
               "reorder y n.0 b_m.0 b_m.1 n.1\nunroll y b_m.1\nvectorize y n.1\nat c y b_m.0\n"
               "reorder c k b_m n\nunroll c b_m\nvectorize c n\nmicrokernel c k\n");
}

TEST(FlattenTest, OfWindows) {
  ExpectOracle(kStrided, "flatten c h w\nfuse y h w\ntile y h_w 6\nat c y h_w.0\n");
  ExpectOracle(kStrided,
               "im2col c\nflatten c.p h w\nflatten c h w\nfuse y h w\ntile y h_w 6\nat c y h_w.0\n"
               "at c.p y h_w.0\n");
  ExpectOracle(kStrided,
               "im2col c\ncache c.p c\ninline c.p\nflatten c h w\nlayout c.p@c 0,4,5,3,1,2\n"
               "fuse y h w\ntile y h_w 6\nat c y h_w.0\nat c.p@c y o\n");
}

TEST(FlattenTest, OfThreeDims) {
  ExpectOracle(kStrided, "flatten c o h\nflatten c o_h w\ntile y o 3\nat c y n\n");
}

TEST(FlattenTest, OfWhatIsSummed) {
  ExpectOracle(kStrided, "flatten c i p\nflatten c i_p q\ntile c i_p_q 4\nat c y w\n");
  ExpectOracle(kStrided, "pad c i 4\npad c q 8\ncache x c\ncache w c\nflatten c q i\nat c y w\n");
  ExpectOracle(
      kStrided,
      "im2col c\nflatten c.p p q\nflatten c p q\nflatten c.p i p_q\nflatten c i p_q\nat c y w\n"
      "at c.p y h\n");
}

TEST(FlattenTest, OfWhatWinogradLeavesAndPartsOfIt) {
  constexpr char kPlain[] =
      "workload/1\ninput x f32 [1,4,7,9]\nconstant w f32 [6,4,3,3]\noutput y f32 [1,6,7,9]\n"
      "stage c f32 [n:1,o:6,h:7,w:9] sum [i:4,p:3,q:3] = "
      "x[n,i,h+p+-1,w+q+-1 else 0x0p+0]*w[o,i,p,q]\n"
      "stage y f32 [n:1,o:6,h:7,w:9] = c[n,o,h,w]\n";
  ExpectOracle(kPlain, "winograd c h 2\nflatten c.m h w\n");
  ExpectOracle(kPlain, "im2col c\nsplit c 6\nflatten c h w\nprepare w@c\nfuse y h w\nat c y h_w\n");
}

}  // namespace
}  // namespace hone

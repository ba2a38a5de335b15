// Convolutions summed over their patches compute what the oracle says: odd sizes, strides,
// dilations, borders wider than the window, groups, and other algorithms on top.
#include <gtest/gtest.h>

#include "tests/lower/oracle_check.h"

namespace hone {
namespace {

// The patches of a row of results at a time; channel, row and column of the kernel one loop.
constexpr char kRows[] =
    "cache w c\nprepare w@c\ntile y o 8 by 8\ntile y w 4\nreorder y n h o.0 w.0 w.1 o.1\n"
    "unroll y w.1\nvectorize y o.1\nat c y w.0\nfuse c i p\nfuse c i_p q\n"
    "reorder c i_p_q n h w o\nvectorize c o\nmicrokernel c i_p_q\nat c.p y h\n";

constexpr char kStrided[] =
    "workload/1\ninput x f32 [2,3,11,13]\nconstant w f32 [9,3,5,3]\noutput y f32 [2,9,5,7]\n"
    "stage c f32 [n:2,o:9,h:5,w:7] sum [i:3,p:5,q:3] = "
    "x[n,i,h*2+p+-1,w*2+q+-1 else 0x0p+0]*w[o,i,p,q]\n"
    "stage y f32 [n:2,o:9,h:5,w:7] = max(c[n,o,h,w],0x0p+0)\n";

TEST(Im2colTest, OfStrides) { ExpectOracle(kStrided, std::string("im2col c\n") + kRows); }

TEST(Im2colTest, OfAllRowsAtOnce) {
  ExpectOracle(kStrided,
               "im2col c\nlayout c.p 0,1,3,4,5,2\nreorder c.p n h i p q w\nparallel c.p n\n");
}

TEST(Im2colTest, OfDilationsAndBordersWiderThanTheWindow) {
  ExpectOracle(
      "workload/1\ninput x f32 [1,5,7,5]\nconstant w f32 [11,5,3,2]\noutput y f32 [1,11,9,10]\n"
      "stage c f32 [n:1,o:11,h:9,w:10] sum [i:5,p:3,q:2] = "
      "x[n,i,h+p*2+-3,w+q*3+-4 else 0x0p+0]*w[o,i,p,q]\n"
      "stage y f32 [n:1,o:11,h:9,w:10] = c[n,o,h,w]\n",
      std::string("im2col c\n") + kRows);
}

TEST(Im2colTest, OfGroups) {
  ExpectOracle(
      "workload/1\ninput x f32 [1,3,2,9,7]\nconstant w f32 [3,5,2,3,3]\n"
      "output y f32 [1,3,5,5,4]\n"
      "stage c f32 [n:1,g:3,o:5,h:5,w:4] sum [i:2,p:3,q:3] = "
      "x[n,g,i,h*2+p+-1,w*2+q+-1 else 0x0p+0]*w[g,o,i,p,q]\n"
      "stage y f32 [n:1,g:3,o:5,h:5,w:4] = max(c[n,g,o,h,w],0x0p+0)\n",
      "im2col c\nfuse c i p\nfuse c i_p q\ntile c i_p_q 4\nat c y h\nat c.p y g\n");
}

TEST(Im2colTest, OfBordersThatAreNoZeros) {
  ExpectOracle(
      "workload/1\ninput x u8 [1,3,6,7]\nconstant w i8 [4,3,3,3]\noutput y i32 [1,4,6,7]\n"
      "stage c i32 [n:1,o:4,h:6,w:7] sum [i:3,p:3,q:3] = "
      "(i32(x[n,i,h+p+-1,w+q+-1 else 7:u8])-7:i32)*i32(w[o,i,p,q])\n"
      "stage y i32 [n:1,o:4,h:6,w:7] = c[n,o,h,w]\n",
      "im2col c\nat c y w\nat c.p y h\n");
}

TEST(Im2colTest, OfWhatWinogradLeavesAndPartsOfIt) {
  constexpr char kPlain[] =
      "workload/1\ninput x f32 [1,4,7,9]\nconstant w f32 [6,4,3,3]\noutput y f32 [1,6,7,9]\n"
      "stage c f32 [n:1,o:6,h:7,w:9] sum [i:4,p:3,q:3] = "
      "x[n,i,h+p+-1,w+q+-1 else 0x0p+0]*w[o,i,p,q]\n"
      "stage y f32 [n:1,o:6,h:7,w:9] = c[n,o,h,w]\n";
  ExpectOracle(kPlain, "winograd c h 2\nim2col c.m\n");
  ExpectOracle(kPlain, "im2col c\nsplit c 6\nprepare w@c\nat c y h\nat c.p@c y h\nat c.p y h\n");
}

}  // namespace
}  // namespace hone

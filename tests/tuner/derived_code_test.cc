// What the rules derive computes what the workload says: candidates of every sketch, drawn at
// random, against the oracle. Small shapes with the corners of large ones: tails, odd extents,
// padding on some sides, batches.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "absl/strings/str_cat.h"
#include "compiler/schedule/open_blocks.h"
#include "tests/lower/kernel_check.h"
#include "tests/lower/oracle_check.h"
#include "tests/support/avx2_target.h"
#include "tests/support/sketch_draws.h"
#include "tuner/space/derive.h"

namespace hone {
namespace {

// Vectors of four, multiplications and additions apart.
Target OldTarget() {
  return *Target::Parse(
      "target/1 x86_64 cpu=x86-64 features=sse2 l1=32768 l2=262144 l3=0 cores=1 threads=1");
}

struct Case {
  const char* workload;
  std::vector<const char*> layouts;  // one a buffer; "" is the identity
};

constexpr char kBlocked[] = "0,1/8,2,3,1%8";
constexpr char kBlocked3[] = "0,1/8,2,1%8";
constexpr char kBlockedGroups[] = "0,1,2/8,3,4,2%8";

// gtest prints the parameter of a failed test.
void PrintTo(const Case& c, std::ostream* os) { *os << c.workload; }

class DerivedCodeTest : public testing::TestWithParam<Case> {};

TEST_P(DerivedCodeTest, AgreesWithTheOracle) {
  auto workload = Workload::Parse(GetParam().workload);
  ASSERT_TRUE(workload.ok()) << workload.status();
  const std::vector<Layout> layouts = LayoutsOf(*workload, GetParam().layouts);
  for (const Target& target : {Avx2Target(1), Avx2Target(2), OldTarget()}) {
    SCOPED_TRACE(target.ToString());
    const int wanted = target.FloatLanes() == 8 ? 5 : 2;
    auto sketches = DeriveSketches(*workload, layouts, target, Numerics::kFast);
    ASSERT_TRUE(sketches.ok()) << sketches.status();
    for (const Sketch& sketch : *sketches) {
      SCOPED_TRACE(sketch.name());
      // What is drawn of a sketch does not depend on which others there are.
      std::seed_seq seed(sketch.name().begin(), sketch.name().end());
      std::mt19937_64 random(seed);
      int agreed = 0;
      for (int draw = 0; draw < 200 && agreed < wanted && !HasFailure(); ++draw) {
        const std::optional<Assignment> assignment = DrawAssignment(sketch, random);
        if (!assignment) continue;
        auto schedule = sketch.Instantiate(*assignment);
        ASSERT_TRUE(schedule.ok()) << schedule.status();
        agreed += AgreesWithOracle(*workload, *schedule, target, random);
      }
      EXPECT_GT(agreed, 0);
    }
  }
}

const Case kCases[] = {
    // large enough for Strassen's products
    {"workload/1\ninput x f32 [66,368]\nconstant w f32 [368,1024]\noutput y f32 [66,1024]\n"
     "stage y f32 [m:66,n:1024] sum [k:368] = x[m,k]*w[k,n]\n",
     {"", "", ""}},
    {"workload/1\ninput x f32 [1,16,7,13]\nconstant w f32 [24,16,3,3]\nconstant b f32 [24]\n"
     "input r f32 [1,24,7,13]\noutput y f32 [1,24,7,13]\n"
     "stage c f32 [n:1,o:24,h:7,w:13] sum [i:16,p:3,q:3] = "
     "x[n,i,h+p+-1,w+q+-1 else 0x0p+0]*w[o,i,p,q]\n"
     "stage y f32 [n:1,o:24,h:7,w:13] = max(c[n,o,h,w]+b[o]+r[n,o,h,w],0x0p+0)\n",
     {kBlocked, "", "", kBlocked, kBlocked}},
    // strides and dilations that leave the image by more than the window
    {"workload/1\ninput x f32 [1,3,19,17]\nconstant w f32 [16,3,5,3]\noutput y f32 [1,16,11,8]\n"
     "stage y f32 [n:1,o:16,h:11,w:8] sum [i:3,p:5,q:3] = "
     "x[n,i,h*2+p*2+-7,w*2+q+-1 else 0x0p+0]*w[o,i,p,q]\n",
     {"", "", kBlocked}},
    // images whose rows are read at a stride: padded, in groups and dilated, without a border
    {"workload/1\ninput x f32 [1,5,13,35]\nconstant w f32 [12,5,3,3]\noutput y f32 [1,12,7,18]\n"
     "stage c f32 [n:1,o:12,h:7,w:18] sum [i:5,p:3,q:3] = "
     "x[n,i,h*2+p+-1,w*2+q+-1 else 0x0p+0]*w[o,i,p,q]\n"
     "stage y f32 [n:1,o:12,h:7,w:18] = max(c[n,o,h,w],0x0p+0)\n",
     {"", "", ""}},
    {"workload/1\ninput x f32 [1,2,4,9,34]\nconstant w f32 [2,6,4,2,3]\n"
     "output y f32 [1,2,6,5,12]\n"
     "stage y f32 [n:1,g:2,o:6,h:5,w:12] sum [i:4,p:2,q:3] = "
     "x[n,g,i,h*2+p*2+-1,w*3+q*2+-2 else 0x0p+0]*w[g,o,i,p,q]\n",
     {"", "", ""}},
    {"workload/1\ninput x f32 [2,8,5,23]\nconstant w f32 [10,8]\noutput y f32 [2,10,3,12]\n"
     "stage y f32 [n:2,o:10,h:3,w:12] sum [i:8] = x[n,i,h*2,w*2]*w[o,i]\n",
     {"", "", ""}},
    // no padding, two images, its own output
    {"workload/1\ninput x f32 [2,8,9,6]\nconstant w f32 [16,8,3,3]\noutput y f32 [2,16,7,4]\n"
     "stage y f32 [n:2,o:16,h:7,w:4] sum [i:8,p:3,q:3] = x[n,i,h+p,w+q]*w[o,i,p,q]\n",
     {kBlocked, "", kBlocked}},
    // one dimension has the window
    {"workload/1\ninput x f32 [1,8,12,5]\nconstant w f32 [8,8,3]\noutput y f32 [1,8,12,5]\n"
     "stage c f32 [n:1,o:8,h:12,w:5] sum [i:8,p:3] = x[n,i,h+p+-1,w else 0x0p+0]*w[o,i,p]\n"
     "stage y f32 [n:1,o:8,h:12,w:5] = max(c[n,o,h,w],0x0p+0)\n",
     {kBlocked, "", kBlocked}},
    // matrix product
    {"workload/1\ninput a f32 [13,24]\nconstant w f32 [24,40]\noutput y f32 [13,40]\n"
     "stage y f32 [m:13,n:40] sum [k:24] = a[m,k]*w[k,n]\n",
     {"", "", ""}},
    // bytes: padded convolution with requantisation, first layer, 1x1 in rows, depthwise
    {"workload/1\ninput x u8 [1,16,7,13]\nconstant w i8 [24,16,3,3]\nconstant b i32 [24]\n"
     "output y u8 [1,24,7,13]\n"
     "stage c i32 [n:1,o:24,h:7,w:13] sum [i:16,p:3,q:3] = "
     "i32(x[n,i,h+p+-1,w+q+-1 else 0:u8])*i32(w[o,i,p,q])\n"
     "stage y u8 [n:1,o:24,h:7,w:13] = "
     "u8(min(max(round(f32(c[n,o,h,w]+b[o])*0x1p-9),0x0p+0),0x1.fep+7))\n",
     {kBlocked, "", "", kBlocked}},
    {"workload/1\ninput x i8 [1,3,9,11]\nconstant w i8 [16,3,3,3]\noutput y i32 [1,16,5,6]\n"
     "stage y i32 [n:1,o:16,h:5,w:6] sum [i:3,p:3,q:3] = "
     "i32(x[n,i,h*2+p+-1,w*2+q+-1 else 0:i8])*i32(w[o,i,p,q])\n",
     {"", "", kBlocked}},
    {"workload/1\ninput x u8 [2,10,19]\nconstant w u8 [12,10]\noutput y i32 [2,12,19]\n"
     "stage y i32 [n:2,o:12,m:19] sum [i:10] = i32(x[n,i,m])*i32(w[o,i])\n",
     {"", "", ""}},
    {"workload/1\ninput x u8 [1,16,7,9]\nconstant w i8 [16,3,3]\noutput y i32 [1,16,7,9]\n"
     "stage y i32 [n:1,c:16,h:7,w:9] sum [p:3,q:3] = "
     "i32(x[n,c,h+p+-1,w+q+-1 else 0:u8])*i32(w[c,p,q])\n",
     {kBlocked, "", kBlocked}},
    // products of bytes: odd depth and columns, weights by rows, no constant, words
    {"workload/1\ninput x u8 [50,23]\nconstant w i8 [23,37]\noutput y i32 [50,37]\n"
     "stage y i32 [m:50,n:37] sum [k:23] = i32(x[m,k])*i32(w[k,n])\n",
     {"", "", ""}},
    {"workload/1\ninput x i8 [7,32]\nconstant w i8 [24,32]\noutput y i32 [7,24]\n"
     "stage y i32 [m:7,n:24] sum [k:32] = i32(w[n,k])*i32(x[m,k])\n",
     {"", "", ""}},
    {"workload/1\ninput x u8 [2,9,16]\ninput w u8 [2,16,11]\noutput y f32 [2,9,11]\n"
     "stage c i32 [b:2,m:9,n:11] sum [k:16] = i32(x[b,m,k])*i32(w[b,k,n])\n"
     "stage y f32 [b:2,m:9,n:11] = f32(c[b,m,n])*0x1p-4\n",
     {"", "", ""}},
    {"workload/1\ninput x i16 [9,16]\nconstant w i8 [16,24]\noutput y i32 [9,24]\n"
     "stage y i32 [m:9,n:24] sum [k:16] = i32(x[m,k])*i32(w[k,n])\n",
     {"", "", ""}},
    // few rows and weights beyond the second cache: several panels side by side
    {"workload/1\ninput a f32 [3,523]\nconstant w f32 [523,301]\noutput y f32 [3,301]\n"
     "stage y f32 [m:3,n:301] sum [k:523] = a[m,k]*w[k,n]\n",
     {"", "", ""}},
    {"workload/1\ninput a f32 [523]\nconstant w f32 [301,523]\noutput y f32 [301]\n"
     "stage y f32 [n:301] sum [k:523] = a[k]*w[n,k]\n",
     {"", "", ""}},
    // nothing constant, worth packing
    {"workload/1\ninput a f32 [2,33,14]\ninput w f32 [2,14,43]\noutput y f32 [2,33,43]\n"
     "stage c f32 [b:2,m:33,n:43] sum [k:14] = a[b,m,k]*w[b,k,n]\n"
     "stage y f32 [b:2,m:33,n:43] = max(c[b,m,n],0x0p+0)\n",
     {"", "", ""}},
    // prologues: of a product, of a padded window in blocks, of the weights
    {"workload/1\ninput x f32 [21,40]\nconstant s f32 [40]\nconstant w f32 [40,33]\n"
     "output y f32 [21,33]\nstage t f32 [m:21,k:40] = max(x[m,k]*s[k],0x0p+0)\n"
     "stage c f32 [m:21,n:33] sum [k:40] = t[m,k]*w[k,n]\n"
     "stage y f32 [m:21,n:33] = c[m,n]+0x1p+0\n",
     {"", "", "", ""}},
    {"workload/1\ninput x f32 [2,16,7,5]\ninput s f32 [2,16]\nconstant w f32 [16,16,3,3]\n"
     "constant g f32 [16]\noutput y f32 [2,16,7,5]\n"
     "stage t f32 [n:2,i:16,h:7,w:5] = max(x[n,i,h,w]*s[n,i],0x0p+0)+0x1p+0\n"
     "stage v f32 [o:16,i:16,p:3,q:3] = w[o,i,p,q]*g[o]\n"
     "stage c f32 [n:2,o:16,h:7,w:5] sum [i:16,p:3,q:3] = "
     "t[n,i,h+p+-1,w+q+-1 else 0x0p+0]*v[o,i,p,q]\n"
     "stage y f32 [n:2,o:16,h:7,w:5] = max(c[n,o,h,w],0x0p+0)\n",
     {kBlocked, "", "", "", kBlocked}},
    // prologues of plain images: at a stride, of odd sizes, as a matrix; of bytes; of an output
    // that is a sum itself; of channels in groups; of a window of maxima and of a sum over images
    {"workload/1\ninput x f32 [1,6,13,11]\nconstant w f32 [10,6,3,3]\nconstant s f32 [6]\n"
     "output y f32 [1,10,7,6]\nstage t f32 [n:1,i:6,h:13,w:11] = max(x[n,i,h,w]*s[i],0x0p+0)\n"
     "stage c f32 [n:1,o:10,h:7,w:6] sum [i:6,p:3,q:3] = "
     "t[n,i,h*2+p+-1,w*2+q+-1 else 0x0p+0]*w[o,i,p,q]\n"
     "stage y f32 [n:1,o:10,h:7,w:6] = max(c[n,o,h,w],0x0p+0)\n",
     {"", "", "", ""}},
    {"workload/1\ninput x f32 [2,9,77]\nconstant w f32 [13,9]\ninput r f32 [2,9,77]\n"
     "constant b f32 [9]\noutput y f32 [2,13,77]\n"
     "stage t f32 [n:2,i:9,m:77] = max(x[n,i,m]+r[n,i,m],0x0p+0)*b[i]\n"
     "stage y f32 [n:2,o:13,m:77] sum [i:9] = t[n,i,m]*w[o,i]\n",
     {"", "", "", "", ""}},
    {"workload/1\ninput x u8 [1,3,12,20]\nconstant w f32 [8,3,3,3]\noutput y f32 [1,8,12,20]\n"
     "stage t f32 [n:1,i:3,h:12,w:20] = f32(x[n,i,h,w])*0x1p-7+-0x1p+0\n"
     "stage c f32 [n:1,o:8,h:12,w:20] sum [i:3,p:3,q:3] = "
     "t[n,i,h+p+-1,w+q+-1 else 0x0p+0]*w[o,i,p,q]\n"
     "stage y f32 [n:1,o:8,h:12,w:20] = max(c[n,o,h,w],0x0p+0)\n",
     {"", "", kBlocked}},
    {"workload/1\ninput x f32 [1,16,50]\nconstant w f32 [24,16]\nconstant b f32 [16]\n"
     "output y f32 [1,24,50]\nstage t f32 [n:1,i:16,m:50] = max(x[n,i,m]*b[i],0x0p+0)\n"
     "stage y f32 [n:1,o:24,m:50] sum [i:16] = t[n,i,m]*w[o,i]\n",
     {kBlocked3, "", "", kBlocked3}},
    {"workload/1\ninput x f32 [1,2,8,7,9]\nconstant w f32 [2,8,8,3,3]\nconstant b f32 [2,8]\n"
     "output y f32 [1,2,8,7,9]\n"
     "stage t f32 [n:1,g:2,i:8,h:7,w:9] = max(x[n,g,i,h,w]*b[g,i],0x0p+0)\n"
     "stage y f32 [n:1,g:2,o:8,h:7,w:9] sum [i:8,p:3,q:3] = "
     "t[n,g,i,h+p+-1,w+q+-1 else 0x0p+0]*w[g,o,i,p,q]\n",
     {"", "", "", ""}},
    {"workload/1\ninput x f32 [1,16,9,11]\nconstant b f32 [16]\noutput y f32 [1,16,5,6]\n"
     "stage t f32 [n:1,c:16,h:9,w:11] = max(x[n,c,h,w]*b[c],0x0p+0)\n"
     "stage y f32 [n:1,c:16,h:5,w:6] max [p:3,q:3] = t[n,c,h*2+p+-1,w*2+q+-1 else -inf]\n",
     {kBlocked, "", kBlocked}},
    {"workload/1\ninput x f32 [1,16,49]\nconstant b f32 [16]\noutput y f32 [1,16]\n"
     "stage t f32 [n:1,c:16,m:49] = max(x[n,c,m]*b[c],0x0p+0)\n"
     "stage c f32 [n:1,c:16] sum [m:49] = t[n,c,m]\nstage y f32 [n:1,c:16] = c[n,c]*0x1p-5\n",
     {kBlocked3, "", ""}},
    // groups of channels in blocks
    {"workload/1\ninput x f32 [1,2,8,7,5]\nconstant w f32 [2,16,8,3,3]\nconstant b f32 [2,16]\n"
     "output y f32 [1,2,16,7,5]\n"
     "stage c f32 [n:1,g:2,o:16,h:7,w:5] sum [i:8,p:3,q:3] = "
     "x[n,g,i,h+p+-1,w+q+-1 else 0x0p+0]*w[g,o,i,p,q]\n"
     "stage y f32 [n:1,g:2,o:16,h:7,w:5] = max(c[n,g,o,h,w]+b[g,o],0x0p+0)\n",
     {kBlockedGroups, "", "", kBlockedGroups}},
    // Winograd behind a prologue
    {"workload/1\ninput x f32 [1,8,7,3]\nconstant w f32 [8,8,3]\nconstant b f32 [8]\n"
     "output y f32 [1,8,7,3]\nstage t f32 [n:1,i:8,h:7,w:3] = max(x[n,i,h,w]*b[i]+0x1p-1,0x0p+0)\n"
     "stage c f32 [n:1,o:8,h:7,w:3] sum [i:8,p:3] = t[n,i,h+p+-1,w else 0x0p+0]*w[o,i,p]\n"
     "stage y f32 [n:1,o:8,h:7,w:3] = max(c[n,o,h,w],0x0p+0)\n",
     {kBlocked, "", "", kBlocked}},
    // softmax: rows of no whole number of vectors, shorter than one, one
    {"workload/1\ninput x f32 [6,37]\noutput y f32 [6,37]\nstage top f32 [m:6] max [k:37] = "
     "x[m,k]\n"
     "stage e f32 [m:6,n:37] = exp(x[m,n]-top[m])\nstage total f32 [m:6] sum [k:37] = e[m,k]\n"
     "stage inverse f32 [m:6] = 0x1p+0/total[m]\n"
     "stage y f32 [m:6,n:37] = e[m,n]*inverse[m]\n",
     {"", ""}},
    {"workload/1\ninput x f32 [2,4,5]\noutput y f32 [2,4,5]\n"
     "stage top f32 [a:2,m:4] max [k:5] = x[a,m,k]\n"
     "stage total f32 [a:2,m:4] sum [k:5] = exp(x[a,m,k]-top[a,m])\n"
     "stage y f32 [a:2,m:4,n:5] = x[a,m,n]-top[a,m]-log(total[a,m])\n",
     {"", ""}},
    {"workload/1\ninput x f32 [8,1]\noutput y f32 [8,1]\nstage top f32 [m:8] max [k:1] = x[m,k]\n"
     "stage y f32 [m:8,n:1] = x[m,n]-top[m]\n",
     {"", ""}},
    // layer normalisation
    {"workload/1\ninput x f32 [12,83]\nconstant g f32 [83]\nconstant b f32 [83]\n"
     "output y f32 [12,83]\nstage s f32 [m:12] sum [k:83] = x[m,k]\n"
     "stage mean f32 [m:12] = s[m]/0x1.4cp+6\n"
     "stage v f32 [m:12] sum [k:83] = (x[m,k]-mean[m])*(x[m,k]-mean[m])\n"
     "stage inverse f32 [m:12] = 0x1p+0/sqrt(v[m]/0x1.4cp+6+0x1.4f8b58p-17)\n"
     "stage y f32 [m:12,n:83] = (x[m,n]-mean[m])*inverse[m]*g[n]+b[n]\n",
     {"", "", "", ""}},
    {"workload/1\ninput x f32 [8,27]\nconstant b f32 [27]\noutput y f32 [8,27]\n"
     "stage s0 f32 [m:8] sum [k:27] = x[m,k]\nstage s1 f32 [m:8] = s0[m]*0x1.2p-5\n"
     "stage s2 f32 [m:8,n:27] = x[m,n]-s1[m]\nstage s3 f32 [m:8,n:27] = s2[m,n]*s2[m,n]\n"
     "stage s4 f32 [m:8] sum [k:27] = s3[m,k]\nstage s5 f32 [m:8] = 0x1p+0/sqrt(s4[m])\n"
     "stage y f32 [m:8,n:27] = s2[m,n]*s5[m]*b[n]\n",
     {"", "", ""}},
    // rows to one number each, with what is done to it, and all to one
    {"workload/1\ninput x f32 [3,5,41]\nconstant b f32 [5]\noutput y f32 [3,5]\n"
     "stage c f32 [a:3,m:5] sum [k:41] = x[a,m,k]\nstage y f32 [a:3,m:5] = c[a,m]/0x1.48p+5+b[m]\n",
     {"", "", ""}},
    {"workload/1\ninput x f32 [1000]\noutput y f32 [1]\n"
     "stage y f32 [m:1] min [k:1000] = x[k]\n",
     {"", ""}},
    // attention, with a mask; one head
    {"workload/1\ninput q f32 [3,13,24]\ninput k f32 [3,18,24]\ninput b f32 [18]\n"
     "input v f32 [3,18,20]\noutput y f32 [3,13,20]\n"
     "stage s f32 [b:3,m:13,n:18] sum [k:24] = q[b,m,k]*k[b,n,k]\n"
     "stage p f32 [b:3,m:13,n:18] = s[b,m,n]*0x1p-2+b[n]\n"
     "stage top f32 [b:3,m:13] max [l:18] = p[b,m,l]\n"
     "stage e f32 [b:3,m:13,n:18] = exp(p[b,m,n]-top[b,m])\n"
     "stage total f32 [b:3,m:13] sum [l:18] = e[b,m,l]\n"
     "stage inverse f32 [b:3,m:13] = 0x1p+0/total[b,m]\n"
     "stage c f32 [b:3,m:13,o:20] sum [l:18] = e[b,m,l]*v[b,l,o]\n"
     "stage y f32 [b:3,m:13,o:20] = c[b,m,o]*inverse[b,m]\n",
     {"", "", "", "", ""}},
    {"workload/1\ninput q f32 [35,8]\ninput k f32 [8,16]\ninput v f32 [16,8]\noutput y f32 [35,8]\n"
     "stage s f32 [m:35,n:16] sum [k:8] = q[m,k]*k[k,n]\n"
     "stage p f32 [m:35,n:16] = s[m,n]*0x1p-2\n"
     "stage top f32 [m:35] max [l:16] = p[m,l]\n"
     "stage e f32 [m:35,n:16] = exp(p[m,n]-top[m])\n"
     "stage total f32 [m:35] sum [l:16] = e[m,l]\n"
     "stage inverse f32 [m:35] = 0x1p+0/total[m]\n"
     "stage c f32 [m:35,o:8] sum [l:16] = e[m,l]*v[l,o]\n"
     "stage y f32 [m:35,o:8] = c[m,o]*inverse[m]\n",
     {"", "", "", ""}},
    {"workload/1\ninput q f32 [2,3,5,4]\ninput k f32 [2,3,9,4]\ninput v f32 [2,3,9,11]\n"
     "input b f32 [2,9]\noutput y f32 [2,3,5,11]\n"
     "stage s f32 [d0:2,d1:3,m:5,n:9] sum [d:4] = q[d0,d1,m,d]*k[d0,d1,n,d]\n"
     "stage p f32 [d0:2,d1:3,m:5,n:9] = s[d0,d1,m,n]*0x1p-1+b[d0,n]\n"
     "stage top f32 [d0:2,d1:3,m:5] max [l:9] = p[d0,d1,m,l]\n"
     "stage e f32 [d0:2,d1:3,m:5,n:9] = exp(p[d0,d1,m,n]-top[d0,d1,m])\n"
     "stage total f32 [d0:2,d1:3,m:5] sum [l:9] = e[d0,d1,m,l]\n"
     "stage inverse f32 [d0:2,d1:3,m:5] = 0x1p+0/total[d0,d1,m]\n"
     "stage c f32 [d0:2,d1:3,m:5,o:11] sum [l:9] = e[d0,d1,m,l]*v[d0,d1,l,o]\n"
     "stage y f32 [d0:2,d1:3,m:5,o:11] = c[d0,d1,m,o]*inverse[d0,d1,m]\n",
     {"", "", "", "", ""}},
    // keys and values known ahead
    {"workload/1\ninput q f32 [6,8]\nconstant k f32 [19,8]\nconstant v f32 [19,8]\n"
     "output y f32 [6,8]\nstage s f32 [m:6,n:19] sum [d:8] = q[m,d]*k[n,d]\n"
     "stage p f32 [m:6,n:19] = s[m,n]\nstage top f32 [m:6] max [l:19] = p[m,l]\n"
     "stage e f32 [m:6,n:19] = exp(p[m,n]-top[m])\nstage total f32 [m:6] sum [l:19] = e[m,l]\n"
     "stage inverse f32 [m:6] = 0x1p+0/total[m]\n"
     "stage c f32 [m:6,o:8] sum [l:19] = e[m,l]*v[l,o]\n"
     "stage y f32 [m:6,o:8] = c[m,o]*inverse[m]\n",
     {"", "", "", ""}},
    // a product and the sums of its rows
    {"workload/1\ninput a f32 [24,16]\nconstant w f32 [16,40]\noutput y f32 [24,40]\n"
     "stage c f32 [m:24,n:40] sum [k:16] = a[m,k]*w[k,n]\n"
     "stage p f32 [m:24,n:40] = abs(c[m,n])\nstage s f32 [m:24] sum [k:40] = p[m,k]\n"
     "stage y f32 [m:24,n:40] = p[m,n]/s[m]\n",
     {"", "", ""}},
    // both operands side by side along the reduction
    {"workload/1\ninput a f32 [7,29]\ninput b f32 [10,29]\noutput y f32 [7,10]\n"
     "stage y f32 [m:7,n:10] sum [k:29] = a[m,k]*b[n,k]\n",
     {"", "", ""}},
};

INSTANTIATE_TEST_SUITE_P(Cases, DerivedCodeTest, testing::ValuesIn(kCases));

// Shapes with odd sizes, primes and ones: what a candidate's blockings are told when it runs, for
// every value that they may have.
TEST(OpenBlocksCodeTest, EveryValueGivesWhatTheWorkloadSays) {
  const Case cases[] = {
      {"workload/1\ninput x f32 [1,16,10,14]\nconstant w f32 [24,16,3,3]\n"
       "output y f32 [1,24,10,14]\n"
       "stage c f32 [n:1,o:24,h:10,w:14] sum [i:16,p:3,q:3] = "
       "x[n,i,h+p+-1,w+q+-1 else 0x0p+0]*w[o,i,p,q]\n"
       "stage y f32 [n:1,o:24,h:10,w:14] = max(c[n,o,h,w],0x0p+0)\n",
       {kBlocked, "", kBlocked}},
      {"workload/1\ninput x f32 [1,8,13,7]\nconstant w f32 [8,8,3,3]\noutput y f32 [1,8,7,4]\n"
       "stage y f32 [n:1,o:8,h:7,w:4] sum [i:8,p:3,q:3] = "
       "x[n,i,h*2+p+-1,w*2+q+-1 else 0x0p+0]*w[o,i,p,q]\n",
       {kBlocked, "", kBlocked}},
      {"workload/1\ninput x f32 [1,8,1,5]\nconstant w f32 [8,8,3,3]\noutput y f32 [1,8,1,5]\n"
       "stage y f32 [n:1,o:8,h:1,w:5] sum [i:8,p:3,q:3] = "
       "x[n,i,h+p+-1,w+q+-1 else 0x0p+0]*w[o,i,p,q]\n",
       {kBlocked, "", kBlocked}},
      {"workload/1\ninput x f32 [131,24]\nconstant w f32 [24,40]\noutput y f32 [131,40]\n"
       "stage y f32 [m:131,n:40] sum [k:24] = x[m,k]*w[k,n]\n",
       {"", "", ""}},
  };
  int open_sizes = 0;
  for (const Case& c : cases) {
    const auto workload = Workload::Parse(c.workload);
    ASSERT_TRUE(workload.ok()) << workload.status();
    std::mt19937_64 random(7);
    auto values = DrawKernelCase(*workload, {}, InputKind::kNormal, random);
    ASSERT_TRUE(values.ok()) << values.status();
    const Target target = Avx2Target(1);
    const auto sketches =
        DeriveSketches(*workload, LayoutsOf(*workload, c.layouts), target, Numerics::kFp32);
    ASSERT_TRUE(sketches.ok()) << sketches.status();
    for (size_t draw = 0; draw < 3 * sketches->size(); ++draw) {
      const Sketch& sketch = (*sketches)[draw / 3];
      const std::optional<Assignment> assignment = DrawAssignment(sketch, random);
      if (!assignment) continue;
      const auto schedule = sketch.Instantiate(*assignment);
      const auto nest = ApplySchedule(*schedule, *workload);
      if (!nest.ok()) continue;
      const std::optional<OpenSchedule> open = LeaveBlocksOpen(*schedule, *nest);
      if (!open) continue;
      const LoopNest blocked = *ApplySchedule(open->schedule, *workload);
      for (const Param& param : blocked.params) {
        ++open_sizes;
        values->params = open->params;
        for (int64_t size = param.min; size <= param.max; ++size) {
          values->params[param.name] = size;
          const auto outputs =
              RunKernel(*workload, open->schedule, target, *values, RunBy::kMachine);
          ASSERT_TRUE(outputs.ok()) << outputs.status() << open->schedule.ToString();
          EXPECT_EQ(DifferenceFromOracle(*workload, open->schedule, *values, *outputs), "")
              << param.name << "=" << size << " " << open->schedule.ToString();
        }
      }
    }
  }
  EXPECT_GE(open_sizes, 8);
}

// Whether four candidates of the sketch agree.
bool FourAgreeWithOracle(const Workload& workload, const std::vector<Sketch>& sketches,
                         absl::string_view name, const Target& target) {
  int agreed = 0;
  for (const Sketch& sketch : sketches) {
    if (sketch.name() != name) continue;
    std::mt19937_64 random(1);
    for (int draw = 0; draw < 200 && agreed < 4; ++draw) {
      const std::optional<Assignment> assignment = DrawAssignment(sketch, random);
      if (!assignment) continue;
      const StatusOr<Schedule> schedule = sketch.Instantiate(*assignment);
      if (!schedule.ok() || !AgreesWithOracle(workload, *schedule, target, random)) return false;
      ++agreed;
    }
  }
  return agreed == 4;
}

// Blocks of products whose operands leave the second cache, here a small one, along a curve.
TEST(DerivedHilbertTest, AgreesWithTheOracle) {
  for (const char* text :
       {"workload/1\ninput a f32 [150,24]\nconstant w f32 [24,200]\ninput r f32 [200]\n"
        "output y f32 [150,200]\n"
        "stage c f32 [m:150,n:200] sum [k:24] = a[m,k]*w[k,n]\n"
        "stage y f32 [m:150,n:200] = max(0x0p+0,c[m,n]+r[n])\n",
        "workload/1\ninput a f32 [131,16]\ninput w f32 [16,136]\ninput r f32 [136]\n"
        "output y f32 [131,136]\n"
        "stage c f32 [m:131,n:136] sum [k:16] = a[m,k]*w[k,n]\n"
        "stage y f32 [m:131,n:136] = c[m,n]*r[n]\n"}) {
    const Workload workload = *Workload::Parse(text);
    const std::vector<Layout> layouts = LayoutsOf(workload, {"", "", "", ""});
    for (Target target : {Avx2Target(1), Avx2Target(2), OldTarget()}) {
      target.l2_bytes = 2048;
      const auto sketches = DeriveSketches(workload, layouts, target, Numerics::kStrict);
      ASSERT_TRUE(sketches.ok()) << sketches.status();
      EXPECT_TRUE(FourAgreeWithOracle(workload, *sketches, "hilbert", target)) << text;
    }
  }
}

// Rows of scores that do not stay in the second cache, here a small one, go over blocks with a
// running maximum: few rows and many, batches, a mask, blocks of two kinds.
TEST(DerivedRunningTest, AgreesWithTheOracle) {
  const auto attention = [](int heads, int queries, int keys) {
    const std::string b = absl::StrCat(heads), m = absl::StrCat(queries), l = absl::StrCat(keys);
    return absl::StrCat(
        "workload/1\ninput q f32 [", b, ",", m, ",12]\ninput k f32 [", b, ",", l,
        ",12]\ninput a f32 [", l, "]\ninput v f32 [", b, ",", l, ",20]\noutput y f32 [", b, ",", m,
        ",20]\nstage s f32 [b:", b, ",m:", m, ",n:", l, "] sum [k:12] = q[b,m,k]*k[b,n,k]\n",
        "stage p f32 [b:", b, ",m:", m, ",n:", l, "] = s[b,m,n]*0x1p-2+a[n]\nstage top f32 [b:", b,
        ",m:", m, "] max [l:", l, "] = p[b,m,l]\nstage e f32 [b:", b, ",m:", m, ",n:", l,
        "] = exp(min(0x0p+0,p[b,m,n]-top[b,m]))\nstage total f32 [b:", b, ",m:", m, "] sum [l:", l,
        "] = e[b,m,l]\nstage inverse f32 [b:", b, ",m:", m,
        "] = 0x1p+0/total[b,m]\nstage c f32 [b:", b, ",m:", m, ",o:20] sum [l:", l,
        "] = e[b,m,l]*v[b,l,o]\nstage y f32 [b:", b, ",m:", m, ",o:20] = c[b,m,o]*inverse[b,m]\n");
  };
  for (const std::string& text :
       {attention(3, 13, 192), attention(1, 5, 160), attention(1, 150, 128), attention(4, 7, 96)}) {
    const Workload workload = *Workload::Parse(text);
    const std::vector<Layout> layouts = LayoutsOf(workload, {"", "", "", "", ""});
    for (Target target : {Avx2Target(1), Avx2Target(2), OldTarget()}) {
      target.l2_bytes = 2048;
      const auto strict = DeriveSketches(workload, layouts, target, Numerics::kStrict);
      for (const Sketch& sketch : *strict) EXPECT_NE(sketch.name(), "running_strips");
      const auto sketches = DeriveSketches(workload, layouts, target, Numerics::kFp32);
      EXPECT_TRUE(FourAgreeWithOracle(workload, *sketches, "running_strips", target)) << text;
    }
  }
}

// Sums of 576 products, in layouts that Winograd is derived for.
constexpr char kNumericsWorkload[] =
    "workload/1\ninput x f32 [1,64,14,14]\nconstant w f32 [64,64,3,3]\n"
    "output y f32 [1,64,14,14]\n"
    "stage c f32 [n:1,o:64,h:14,w:14] sum [i:64,p:3,q:3] = "
    "x[n,i,h+p+-1,w+q+-1 else 0x0p+0]*w[o,i,p,q]\n"
    "stage y f32 [n:1,o:64,h:14,w:14] = c[n,o,h,w]\n";

class NumericsTest : public testing::TestWithParam<Numerics> {};

// One candidate of every sketch, against the class's bound on the error of sums in sequence.
TEST_P(NumericsTest, WhatIsDerivedStaysWithinTheClass) {
  const Numerics numerics = GetParam();
  const Workload workload = *Workload::Parse(kNumericsWorkload);
  const Target target = Avx2Target(1);
  const Layout blocked = *Layout::Parse(kBlocked);
  auto sketches =
      DeriveSketches(workload, {blocked, Layout::Identity(4), blocked}, target, numerics);
  ASSERT_TRUE(sketches.ok()) << sketches.status();
  std::mt19937_64 inputs(7);
  auto sequential = RmsErrorAgainstOracle(workload, Schedule{}, target, inputs);
  ASSERT_TRUE(sequential.ok()) << sequential.status();
  std::mt19937_64 random(1);
  std::set<std::string> algorithms;
  for (const Sketch& sketch : *sketches) {
    for (int draw = 0; draw < 200; ++draw) {
      const std::optional<Assignment> assignment = DrawAssignment(sketch, random);
      if (!assignment) continue;
      std::mt19937_64 same_inputs(7);
      const Schedule schedule = *sketch.Instantiate(*assignment);
      EXPECT_TRUE(CheckAlgorithms(schedule, numerics).ok()) << sketch.name();
      auto error = RmsErrorAgainstOracle(workload, schedule, target, same_inputs);
      if (!error.ok()) continue;  // refused: AgreesWithTheOracle counts those
      EXPECT_LE(*error, SequentialErrorFactor(numerics) * *sequential) << sketch.name();
      const std::string algorithm = sketch.name().substr(0, sketch.name().find('_'));
      if (algorithms.insert(algorithm).second) {
        RecordProperty(algorithm, absl::StrCat(*error / *sequential));
      }
      break;
    }
  }
  EXPECT_EQ(algorithms.contains("winograd"), numerics != Numerics::kStrict);
  EXPECT_EQ(algorithms.contains("winograd4"), numerics == Numerics::kFast);
}

INSTANTIATE_TEST_SUITE_P(Classes, NumericsTest,
                         testing::Values(Numerics::kStrict, Numerics::kFp32, Numerics::kFast),
                         [](const auto& info) { return std::string(NumericsName(info.param)); });

TEST(CheckAlgorithmsTest, StrictHasNoProductsOfSums) {
  const Schedule schedule = *Schedule::Parse("schedule/1\nstrassen y m n k 8\n");
  EXPECT_TRUE(absl::IsInvalidArgument(CheckAlgorithms(schedule, Numerics::kStrict)));
  EXPECT_TRUE(CheckAlgorithms(schedule, Numerics::kFp32).ok());
}

TEST(CheckAlgorithmsTest, StrictHasDirectAlgorithmsOnly) {
  const Schedule schedule = *Schedule::Parse("schedule/1\nwinograd c h 2\n");
  const Status status = CheckAlgorithms(schedule, Numerics::kStrict);
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_EQ(status.message(),
            "step 1 (winograd c h 2): numerics strict allows plain fp32 multiply-adds, direct "
            "algorithms only");
  EXPECT_TRUE(CheckAlgorithms(schedule, Numerics::kFp32).ok());
}

}  // namespace
}  // namespace hone

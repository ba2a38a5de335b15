// Random workload, random legal schedule: generated code gives what the oracle gives.
#include "tests/lower/random_schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/lower/oracle_check.h"
#include "tests/support/avx2_target.h"

namespace hone {
namespace {

// Shapes with primes, ones, tails and padding beyond the kernel.
const char* const kWorkloads[] = {
    // convolution, padded, strided, with bias, residual and activation
    "workload/1\ninput x f32 [1,12,9,11]\nconstant w f32 [20,12,3,3]\nconstant b f32 [20]\n"
    "input r f32 [1,20,5,6]\noutput y f32 [1,20,5,6]\n"
    "stage c f32 [n:1,o:20,h:5,w:6] sum [i:12,p:3,q:3] = "
    "x[n,i,h*2+p+-1,w*2+q+-1 else 0x0p+0]*w[o,i,p,q]\n"
    "stage y f32 [n:1,o:20,h:5,w:6] = max(c[n,o,h,w]+b[o]+r[n,o,h,w],0x0p+0)\n",
    // 1x1 convolution on flattened pixels
    "workload/1\ninput x f32 [1,16,49]\nconstant w f32 [24,16]\noutput y f32 [1,24,49]\n"
    "stage c f32 [n:1,o:24,m:49] sum [i:16] = x[n,i,m]*w[o,i]\n"
    "stage y f32 [n:1,o:24,m:49] = c[n,o,m]\n",
    // convolution of stride 1 along two dims: Winograd's ground
    "workload/1\ninput x f32 [1,8,7,10]\nconstant w f32 [16,8,3,3]\noutput y f32 [1,16,7,8]\n"
    "stage c f32 [n:1,o:16,h:7,w:8] sum [i:8,p:3,q:3] = x[n,i,h+p+-1,w+q else 0x0p+0]*w[o,i,p,q]\n"
    "stage y f32 [n:1,o:16,h:7,w:8] = max(c[n,o,h,w],0x0p+0)\n",
    // matrix product that is its own output
    "workload/1\ninput a f32 [7,13]\nconstant w f32 [13,19]\noutput y f32 [7,19]\n"
    "stage y f32 [m:7,n:19] sum [k:13] = a[m,k]*w[k,n]\n",
    // depthwise, padding beyond the kernel, dilated
    "workload/1\ninput x f32 [1,10,7,5]\nconstant w f32 [10,3,3]\noutput y f32 [1,10,9,7]\n"
    "stage c f32 [n:1,c:10,h:9,w:7] sum [p:3,q:3] = "
    "x[n,c,h+p*2+-3,w+q*2+-3 else 0x0p+0]*w[c,p,q]\n"
    "stage y f32 [n:1,c:10,h:9,w:7] = min(max(c[n,c,h,w],0x0p+0),0x1.8p+2)\n",
    // groups, strided and dilated: windows of a tensor and of a channel
    "workload/1\ninput x f32 [1,2,3,9,7]\nconstant w f32 [2,5,3,3,2]\noutput y f32 [1,2,5,4,4]\n"
    "stage c f32 [n:1,g:2,o:5,h:4,w:4] sum [i:3,p:3,q:2] = "
    "x[n,g,i,h*2+p*2+-1,w*2+q*3+-2 else 0x0p+0]*w[g,o,i,p,q]\n"
    "stage y f32 [n:1,g:2,o:5,h:4,w:4] = max(c[n,g,o,h,w],0x0p+0)\n",
    // maximum pooling
    "workload/1\ninput x f32 [2,9,13,1]\noutput y f32 [2,9,7,1]\n"
    "stage c f32 [n:2,c:9,h:7,w:1] max [p:3,q:1] = x[n,c,h*2+p+-1,w+q else -inf]\n"
    "stage y f32 [n:2,c:9,h:7,w:1] = c[n,c,h,w]\n",
    // reductions that feed each other, as in softmax without its exponential
    "workload/1\ninput x f32 [5,23]\noutput y f32 [5,23]\n"
    "stage m f32 [r:5] max [k:23] = x[r,k]\n"
    "stage s f32 [r:5] sum [k:23] = abs(x[r,k]-m[r])\n"
    "stage y f32 [r:5,k:23] = (x[r,k]-m[r])/(s[r]+0x1p+0)\n",
    // attention
    "workload/1\ninput q f32 [2,7,12]\ninput k f32 [2,11,12]\ninput v f32 [2,11,9]\n"
    "output y f32 [2,7,9]\n"
    "stage s f32 [b:2,m:7,n:11] sum [d:12] = q[b,m,d]*k[b,n,d]\n"
    "stage p f32 [b:2,m:7,n:11] = s[b,m,n]*0x1p-2\n"
    "stage top f32 [b:2,m:7] max [l:11] = p[b,m,l]\n"
    "stage e f32 [b:2,m:7,n:11] = exp(p[b,m,n]-top[b,m])\n"
    "stage total f32 [b:2,m:7] sum [l:11] = e[b,m,l]\n"
    "stage c f32 [b:2,m:7,o:9] sum [l:11] = e[b,m,l]*v[b,l,o]\n"
    "stage y f32 [b:2,m:7,o:9] = c[b,m,o]/total[b,m]\n",
    // sums and extremes along what lies side by side, of lengths from 1 on
    "workload/1\ninput x f32 [3,4,77]\noutput y f32 [3]\n"
    "stage y f32 [m:3] sum [k:4,l:77] = x[m,k,l]*x[m,k,l]\n",
    "workload/1\ninput x f32 [6,1]\ninput z f32 [6,12]\noutput y f32 [6]\n"
    "stage s f32 [m:6] min [k:1] = x[m,k]\n"
    "stage t f32 [m:6] prod [k:12] = z[m,k]\n"
    "stage y f32 [m:6] = s[m]+t[m]\n",
    // broadcasting, a chain to inline, a concatenation
    "workload/1\ninput a f32 [3,17]\ninput b f32 [3,6]\noutput y f32 [3,23]\n"
    "stage t f32 [i:3,j:17] = a[i,j]*a[i,j]\n"
    "stage y f32 [i:3,j:23] = select(j<17,t[i,j],b[i,j-17])\n",
    // what may be inlined where it is read with padding
    "workload/1\ninput x f32 [5,13]\noutput y f32 [5,13]\n"
    "stage t f32 [i:5,j:13] = x[i,j]+0x1p+0\n"
    "stage y f32 [i:5,j:13] sum [p:3,q:3] = t[i+p+-1,j+q+-1 else 0x1p-2]\n",
    // transposition
    "workload/1\ninput x f32 [6,5,11]\noutput y f32 [11,6,5]\n"
    "stage y f32 [a:11,b:6,c:5] = x[b,c,a]\n",
};

class RandomScheduleTest : public testing::TestWithParam<const char*> {};

TEST_P(RandomScheduleTest, GeneratedCodeAgreesWithTheOracle) {
  auto workload = Workload::Parse(GetParam());
  ASSERT_TRUE(workload.ok()) << workload.status();
  const char* rounds_text = std::getenv("HONE_FUZZ_ROUNDS");
  const int rounds = rounds_text ? std::atoi(rounds_text) : 25;
  int accepted = 0;
  for (int round = 0; round < rounds && !HasFailure(); ++round) {
    SCOPED_TRACE(round);
    std::mt19937_64 random(round);
    accepted +=
        AgreesWithOracle(*workload, RandomSchedule(*workload, random), Avx2Target(2), random);
  }
  EXPECT_TRUE(HasFailure() || accepted > rounds / 5) << accepted << " of " << rounds;
}

INSTANTIATE_TEST_SUITE_P(Workloads, RandomScheduleTest, testing::ValuesIn(kWorkloads));

}  // namespace
}  // namespace hone

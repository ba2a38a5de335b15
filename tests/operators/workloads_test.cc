// The canonical texts of workloads. They are keys of records: a change here makes every tuned
// record of that operator unfindable.
#include "compiler/operators/convolution.h"
#include "compiler/operators/elementwise.h"
#include "compiler/operators/index_map.h"
#include "compiler/operators/matmul.h"
#include "compiler/operators/pooling.h"
#include "compiler/operators/reduction.h"
#include "compiler/operators/softmax.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace hone {
namespace {

const DType kF32 = DType::kF32;

// The text, after checking that the workload is well-formed and parses back.
std::string TextOf(const Workload& workload) {
  EXPECT_TRUE(workload.Verify().ok()) << workload.Verify() << workload.ToString();
  const std::string text = workload.ToString();
  const auto parsed = Workload::Parse(text);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  if (parsed.ok()) {
    EXPECT_EQ(parsed->ToString(), text);
  }
  return text;
}

Convolution Conv(std::vector<int64_t> x, std::vector<int64_t> w, std::vector<int64_t> y,
                 int64_t stride, int64_t pad, int64_t groups = 1) {
  Convolution c{.x = std::move(x), .w = std::move(w), .y = std::move(y), .groups = groups};
  c.window = {.kernel = {c.w.begin() + 2, c.w.end()},
              .strides = {stride, stride},
              .dilations = {1, 1},
              .pads_begin = {pad, pad},
              .pads_end = {pad, pad}};
  return c;
}

// relu(x + v0) and relu(x + v0 + v1).
Expr Relu(Expr e) { return Max(std::move(e), Float(0)); }
Expr V(int i) { return EpilogueOperand(i, kF32); }
Expr X() { return EpilogueValue(kF32); }

TEST(WorkloadsTest, ConvolutionWithBiasResidualAndRelu) {
  const Epilogue epilogue{Relu(X() + V(0) + V(1)),
                          {{kF32, {64, 1, 1}, true}, {kF32, {1, 64, 56, 56}}}};
  EXPECT_EQ(TextOf(ConvolutionWorkload(Conv({1, 64, 56, 56}, {64, 64, 3, 3}, {1, 64, 56, 56}, 1, 1),
                                       epilogue)),
            "workload/1\n"
            "input x f32 [1,64,56,56]\n"
            "constant w f32 [64,64,3,3]\n"
            "constant b f32 [64]\n"
            "input r f32 [1,64,56,56]\n"
            "output y f32 [1,64,56,56]\n"
            "stage c f32 [n:1,o:64,h:56,w:56] sum [i:64,p:3,q:3] = "
            "x[n,i,h+p+-1,w+q+-1 else 0x0p+0]*w[o,i,p,q]\n"
            "stage y f32 [n:1,o:64,h:56,w:56] = max(c[n,o,h,w]+b[o]+r[n,o,h,w],0x0p+0)\n");
}

TEST(WorkloadsTest, StridedConvolution) {
  EXPECT_EQ(TextOf(ConvolutionWorkload(
                Conv({1, 3, 224, 224}, {64, 3, 7, 7}, {1, 64, 112, 112}, 2, 3), {})),
            "workload/1\n"
            "input x f32 [1,3,224,224]\n"
            "constant w f32 [64,3,7,7]\n"
            "output y f32 [1,64,112,112]\n"
            "stage y f32 [n:1,o:64,h:112,w:112] sum [i:3,p:7,q:7] = "
            "x[n,i,h*2+p+-3,w*2+q+-3 else 0x0p+0]*w[o,i,p,q]\n");
}

TEST(WorkloadsTest, PointwiseConvolutionIsFlat) {
  const Epilogue epilogue{Relu(X() + V(0)), {{kF32, {1, 16, 1, 1}, true}}};
  EXPECT_EQ(TextOf(ConvolutionWorkload(Conv({1, 96, 54, 54}, {16, 96, 1, 1}, {1, 16, 54, 54}, 1, 0),
                                       epilogue)),
            "workload/1\n"
            "input x f32 [1,96,2916]\n"
            "constant w f32 [16,96]\n"
            "constant b f32 [16]\n"
            "output y f32 [1,16,2916]\n"
            "stage c f32 [n:1,o:16,m:2916] sum [i:96] = x[n,i,m]*w[o,i]\n"
            "stage y f32 [n:1,o:16,m:2916] = max(c[n,o,m]+b[o],0x0p+0)\n");
}

TEST(WorkloadsTest, StridedPointwiseConvolutionKeepsItsImage) {
  EXPECT_EQ(TextOf(ConvolutionWorkload(
                Conv({1, 64, 56, 56}, {128, 64, 1, 1}, {1, 128, 28, 28}, 2, 0), {})),
            "workload/1\n"
            "input x f32 [1,64,56,56]\n"
            "constant w f32 [128,64,1,1]\n"
            "output y f32 [1,128,28,28]\n"
            "stage y f32 [n:1,o:128,h:28,w:28] sum [i:64,p:1,q:1] = "
            "x[n,i,h*2+p,w*2+q]*w[o,i,p,q]\n");
}

TEST(WorkloadsTest, DepthwiseConvolution) {
  const Epilogue epilogue{Min(Relu(X() + V(0)), Float(6)), {{kF32, {32, 1, 1}, true}}};
  EXPECT_EQ(TextOf(ConvolutionWorkload(
                Conv({1, 32, 112, 112}, {32, 1, 3, 3}, {1, 32, 112, 112}, 1, 1, 32), epilogue)),
            "workload/1\n"
            "input x f32 [1,32,112,112]\n"
            "constant w f32 [32,3,3]\n"
            "constant b f32 [32]\n"
            "output y f32 [1,32,112,112]\n"
            "stage c f32 [n:1,c:32,h:112,w:112] sum [p:3,q:3] = "
            "x[n,c,h+p+-1,w+q+-1 else 0x0p+0]*w[c,p,q]\n"
            "stage y f32 [n:1,c:32,h:112,w:112] = min(max(c[n,c,h,w]+b[c],0x0p+0),0x1.8p+2)\n");
}

TEST(WorkloadsTest, GroupedConvolution) {
  const Epilogue epilogue{X() + V(0), {{kF32, {6, 1, 1}, true}}};
  EXPECT_EQ(TextOf(ConvolutionWorkload(Conv({1, 4, 5, 5}, {6, 2, 3, 3}, {1, 6, 3, 3}, 1, 0, 2),
                                       epilogue)),
            "workload/1\n"
            "input x f32 [1,2,2,5,5]\n"
            "constant w f32 [2,3,2,3,3]\n"
            "constant b f32 [2,3]\n"
            "output y f32 [1,2,3,3,3]\n"
            "stage c f32 [n:1,g:2,o:3,h:3,w:3] sum [i:2,p:3,q:3] = "
            "x[n,g,i,h+p,w+q]*w[g,o,i,p,q]\n"
            "stage y f32 [n:1,g:2,o:3,h:3,w:3] = c[n,g,o,h,w]+b[g,o]\n");
}

TEST(WorkloadsTest, TransposedConvolution) {
  Convolution c = Conv({1, 4, 5, 5}, {4, 6, 2, 2}, {1, 6, 10, 10}, 2, 0);
  EXPECT_EQ(TextOf(ConvolutionTransposeWorkload(c, {})),
            "workload/1\n"
            "input x f32 [1,4,5,5]\n"
            "constant w f32 [4,6,2,2]\n"
            "output y f32 [1,6,10,10]\n"
            "stage y f32 [n:1,o:6,h:10,w:10] sum [i:4,p:1,q:1] = "
            "x[n,i,floordiv(h,2)-p,floordiv(w,2)-q else 0x0p+0]*"
            "w[i,o,p*2+floormod(h,2),q*2+floormod(w,2)]\n");
}

TEST(WorkloadsTest, MatMulFlattensRowsOverTheBatch) {
  const Epilogue epilogue{X() + V(0), {{kF32, {10}, true}}};
  EXPECT_EQ(TextOf(MatMulWorkload({.x = {2, 7, 32}, .w = {10, 32}, .transpose_w = true}, epilogue)),
            "workload/1\n"
            "input x f32 [14,32]\n"
            "constant w f32 [10,32]\n"
            "constant b f32 [10]\n"
            "output y f32 [14,10]\n"
            "stage c f32 [m:14,n:10] sum [k:32] = x[m,k]*w[n,k]\n"
            "stage y f32 [m:14,n:10] = c[m,n]+b[n]\n");
}

TEST(WorkloadsTest, BatchedMatMul) {
  EXPECT_EQ(
      TextOf(MatMulWorkload({.x = {2, 4, 7, 16}, .w = {2, 4, 16, 7}, .constant_w = false}, {})),
      "workload/1\n"
      "input x f32 [8,7,16]\n"
      "input w f32 [8,16,7]\n"
      "output y f32 [8,7,7]\n"
      "stage y f32 [b:8,m:7,n:7] sum [k:16] = x[b,m,k]*w[b,k,n]\n");
}

TEST(WorkloadsTest, ElementwiseKeepsChannelsOfImages) {
  EXPECT_EQ(TextOf(ElementwiseWorkload(
                {1, 64, 56, 56},
                {Relu(V(0) * V(1) + V(2)),
                 {{kF32, {1, 64, 56, 56}}, {kF32, {64, 1, 1}, true}, {kF32, {1, 64, 56, 56}}}})),
            "workload/1\n"
            "input x f32 [1,64,3136]\n"
            "constant b f32 [64]\n"
            "input r f32 [1,64,3136]\n"
            "output y f32 [1,64,3136]\n"
            "stage y f32 [n:1,c:64,m:3136] = max(x[n,c,m]*b[c]+r[n,c,m],0x0p+0)\n");
}

TEST(WorkloadsTest, ElementwiseCollapsesOtherRanks) {
  EXPECT_EQ(TextOf(ElementwiseWorkload({2, 7, 32}, {Relu(V(0)), {{kF32, {2, 7, 32}}}})),
            "workload/1\n"
            "input x f32 [448]\n"
            "output y f32 [448]\n"
            "stage y f32 [m:448] = max(x[m],0x0p+0)\n");
  EXPECT_EQ(TextOf(ElementwiseWorkload({2, 7, 32},
                                       {V(0) + V(1), {{kF32, {2, 7, 32}}, {kF32, {32}, true}}})),
            "workload/1\n"
            "input x f32 [14,32]\n"
            "constant b f32 [32]\n"
            "output y f32 [14,32]\n"
            "stage y f32 [m:14,n:32] = x[m,n]+b[n]\n");
}

TEST(WorkloadsTest, PoolingWindows) {
  Pooling pooling{.x = {1, 64, 112, 112},
                  .y = {1, 64, 56, 56},
                  .window = {{3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}}};
  EXPECT_EQ(TextOf(PoolingWorkload(pooling, {})),
            "workload/1\n"
            "input x f32 [1,64,112,112]\n"
            "output y f32 [1,64,56,56]\n"
            "stage y f32 [n:1,c:64,h:56,w:56] max [p:3,q:3] = "
            "x[n,c,h*2+p+-1,w*2+q+-1 else -inf]\n");
  pooling.kind = Pooling::Kind::kAverage;
  pooling.count_padding = true;
  EXPECT_EQ(TextOf(PoolingWorkload(pooling, {})),
            "workload/1\n"
            "input x f32 [1,64,112,112]\n"
            "output y f32 [1,64,56,56]\n"
            "stage c f32 [n:1,c:64,h:56,w:56] sum [p:3,q:3] = "
            "x[n,c,h*2+p+-1,w*2+q+-1 else 0x0p+0]\n"
            "stage y f32 [n:1,c:64,h:56,w:56] = c[n,c,h,w]*0x1.c71c72p-4\n");
}

TEST(WorkloadsTest, GlobalAveragePoolIsAReduction) {
  EXPECT_EQ(TextOf(ReductionWorkload({.x = {1, 512, 7, 7}, .reduced = {false, false, true, true}},
                                     {X() * Float(0x1p-6), {}})),
            "workload/1\n"
            "input x f32 [1,512,49]\n"
            "output y f32 [1,512]\n"
            "stage c f32 [n:1,c:512] sum [m:49] = x[n,c,m]\n"
            "stage y f32 [n:1,c:512] = c[n,c]*0x1p-6\n");
}

TEST(WorkloadsTest, SoftmaxInStages) {
  EXPECT_EQ(TextOf(SoftmaxWorkload({.x = {1, 1000}, .first = 1, .count = 1}, {})),
            "workload/1\n"
            "input x f32 [1,1000]\n"
            "output y f32 [1,1000]\n"
            "stage top f32 [m:1] max [k:1000] = x[m,k]\n"
            "stage e f32 [m:1,n:1000] = exp(min(0x0p+0,x[m,n]-top[m]))\n"
            "stage total f32 [m:1] sum [k:1000] = e[m,k]\n"
            "stage inverse f32 [m:1] = 0x1p+0/total[m]\n"
            "stage y f32 [m:1,n:1000] = e[m,n]*inverse[m]\n");
}

TEST(WorkloadsTest, SoftmaxOverDimensionsInTheMiddle) {
  EXPECT_EQ(TextOf(SoftmaxWorkload({.x = {2, 3, 5}, .first = 1, .count = 1}, {})),
            "workload/1\n"
            "input x f32 [2,3,5]\n"
            "output y f32 [2,3,5]\n"
            "stage top f32 [m:2,i:5] max [k:3] = x[m,k,i]\n"
            "stage e f32 [m:2,n:3,i:5] = exp(min(0x0p+0,x[m,n,i]-top[m,i]))\n"
            "stage total f32 [m:2,i:5] sum [k:3] = e[m,k,i]\n"
            "stage inverse f32 [m:2,i:5] = 0x1p+0/total[m,i]\n"
            "stage y f32 [m:2,n:3,i:5] = e[m,n,i]*inverse[m,i]\n");
}

TEST(WorkloadsTest, LogSoftmaxSubtractsALogarithm) {
  EXPECT_EQ(TextOf(SoftmaxWorkload({.x = {4, 9}, .first = 1, .count = 1, .log = true}, {})),
            "workload/1\n"
            "input x f32 [4,9]\n"
            "output y f32 [4,9]\n"
            "stage top f32 [m:4] max [k:9] = x[m,k]\n"
            "stage total f32 [m:4] sum [k:9] = exp(min(0x0p+0,x[m,k]-top[m]))\n"
            "stage y f32 [m:4,n:9] = x[m,n]-top[m]-log(total[m])\n");
}

TEST(WorkloadsTest, ConcatenationSelects) {
  EXPECT_EQ(TextOf(IndexMapWorkload(Concatenation({{kF32, {2, 3}}, {kF32, {2, 5}}}, 1), {})),
            "workload/1\n"
            "input x f32 [2,3]\n"
            "input x2 f32 [2,5]\n"
            "output y f32 [2,8]\n"
            "stage y f32 [d0:2,d1:8] = select(d1<3,x[d0,d1],x2[d0,d1+-3])\n");
}

}  // namespace
}  // namespace hone

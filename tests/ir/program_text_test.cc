#include "compiler/ir/program_text.h"

#include "compiler/ir/evaluate.h"
#include "compiler/ir/verify.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace hone {
namespace {

using testing::HasSubstr;

constexpr char kProgram[] = R"(program/1
param n 1..64
input x f32 [n,8]
prepared p f32 [8]
output y f32 [n,8]
prepare {
  for a in 8 {
    p[a] = f32(a)
  }
}
run {
  allocate t scratch f32 [n,8]
  for r in n*8 {
    t[r] = x[r]
  }
  parallel i in n {
    allocate acc register f32 [8]
    acc[ramp(0,1;8)] = broadcast(0x0p+0;8)
    straight_line for k in 4 {
      let v = t[ramp(i*8,1;8)]
      acc[ramp(0,1;8)] = fma(v,p[ramp(0,1;8)],acc[ramp(0,1;8)])
    }
    if i<3 {
      prefetch x[i*8]
      y[ramp(i*8,1;8)] = acc[ramp(0,1;8)]
    } else {
      let w = select(i<5,x[i*8],0x1p+0)
      y[ramp(i*8,1;8)] = broadcast(w;8)
    }
  }
}
)";

TEST(ProgramText, PrintsWhatItParsed) {
  const auto program = ParseProgram(kProgram);
  ASSERT_TRUE(program.ok()) << program.status();
  EXPECT_EQ(ToString(*program), kProgram);
  EXPECT_TRUE(Verify(*program, ProgramStage::kLowered).ok())
      << Verify(*program, ProgramStage::kLowered);
}

TEST(ProgramText, NamesLineAndColumnOfAnError) {
  const auto program = ParseProgram("program/1\noutput y f32 [1]\nrun {\n  y[0] = z\n}\n");
  EXPECT_THAT(std::string(program.status().message()), HasSubstr("program:4:"));
}

TEST(Evaluate, RunsPrepareAndThenRun) {
  const auto program = ParseProgram(kProgram);
  ASSERT_TRUE(program.ok()) << program.status();
  std::map<std::string, Tensor> buffers;
  buffers["x"] = Tensor::Zeros(DType::kF32, {6, 8});
  buffers["y"] = Tensor::Zeros(DType::kF32, {6, 8});
  buffers["p"] = Tensor::Zeros(DType::kF32, {8});
  for (int i = 0; i < 48; ++i) buffers["x"].Set(i, i);
  const Status status = Evaluate(*program, {{"n", 6}}, buffers);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(buffers["y"].Get(2 * 8 + 3), 4 * (2 * 8 + 3) * 3);
  EXPECT_EQ(buffers["y"].Get(4 * 8 + 3), 32);
  EXPECT_EQ(buffers["y"].Get(5 * 8 + 3), 1);
}

Program OfBody(absl::string_view body) {
  auto program = ParseProgram(
      absl::string_view(std::string("program/1\ninput x f32 [2,3]\noutput y f32 [8]\nrun {\n") +
                        std::string(body) + "\n}\n"));
  EXPECT_TRUE(program.ok()) << program.status();
  return *program;
}

Status RunBody(absl::string_view body, std::vector<double>* y) {
  std::map<std::string, Tensor> buffers;
  buffers["x"] = Tensor::Floats({2, 3}, {0, 1, 2, 3, 4, 5});
  buffers["y"] = Tensor::Zeros(DType::kF32, {8});
  HONE_RETURN_IF_ERROR(Evaluate(OfBody(body), {}, buffers));
  *y = buffers["y"].ToDoubles();
  return absl::OkStatus();
}

TEST(Evaluate, TellsAccessesOutsideOfTheirBuffer) {
  std::vector<double> y;
  EXPECT_THAT(std::string(RunBody("y[0] = x[1,3]", &y).message()), HasSubstr("'x': index [1,3]"));
  EXPECT_THAT(std::string(RunBody("y[8] = 0x0p+0", &y).message()), HasSubstr("'y': index [8]"));
}

TEST(Evaluate, GivesOtherwiseOutsideAndReadsOnlyTheArmTaken) {
  std::vector<double> y;
  ASSERT_TRUE(RunBody("for i in 8 {\n"
                      "  y[i] = x[1,i+-2 else 0x1.8p+3]+select(i<1,x[0,1],select(i<2,x[i,0],"
                      "0x0p+0))\n}",
                      &y)
                  .ok());
  EXPECT_EQ(y, (std::vector<double>{13, 15, 3, 4, 5, 12, 12, 12}));
}

TEST(Verify, NamesWhatALoweredProgramMustNotHave) {
  auto message = [](absl::string_view body) {
    return std::string(Verify(OfBody(body), ProgramStage::kLowered).message());
  };
  EXPECT_THAT(message("y[0] = x[1,2]"), HasSubstr("'x' is accessed with 2 indices"));
  EXPECT_THAT(message("vector i in 8 {\n  y[i] = 0x0p+0\n}"), HasSubstr("'i' of kind vector"));
  EXPECT_THAT(message("for i in 2 {\n  parallel j in 4 {\n    y[i*4+j] = 0x0p+0\n  }\n}"),
              HasSubstr("parallel loop 'j'"));
  EXPECT_THAT(message("for i in 2 {\n  y[i] = 0x0p+0\n}\nfor i in 2 {\n  y[i] = 0x0p+0\n}"),
              HasSubstr("'i' is declared twice"));
  EXPECT_THAT(message("allocate r register f32 [4]\nfor i in 4 {\n  r[i] = 0x0p+0\n}"),
              HasSubstr("register buffer 'r'"));
  EXPECT_THAT(message("let v = x[0]\nparallel i in 8 {\n  y[i] = v\n}"), HasSubstr("'v'"));
}

}  // namespace
}  // namespace hone

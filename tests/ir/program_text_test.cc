#include "compiler/ir/program_text.h"

#include "compiler/ir/evaluate.h"
#include "compiler/ir/simplify.h"
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

// A block of 16 x 16 sums over 64 products, two tiles of each operand.
constexpr char kTiles[] = R"(program/1
input a bf16 [1024]
prepared b bf16 [1024]
output y f32 [256]
run {
  allocate c.t tile f32 [1,16,16]
  allocate a.t tile bf16 [1,16,32]
  allocate b.t tile bf16 [2,16,32]
  tile_zero c.t[0]
  for k in 2 {
    tile_load a.t[0] = a[k*32] stride 64
    tile_stream b.t[1] = b[k*512] stride 32
    tile_multiply c.t[0] += tdpbf16ps(a.t[0],b.t[1])
  }
  tile_store y[0] stride 16 = c.t[0]
}
)";

TEST(ProgramText, TileStatementsPrintWhatTheyParsed) {
  const auto program = ParseProgram(kTiles);
  ASSERT_TRUE(program.ok()) << program.status();
  EXPECT_EQ(ToString(*program), kTiles);
  EXPECT_TRUE(Verify(*program, ProgramStage::kLowered).ok())
      << Verify(*program, ProgramStage::kLowered);
}

TEST(Evaluate, MultipliesTiles) {
  const auto program = ParseProgram(kTiles);
  ASSERT_TRUE(program.ok()) << program.status();
  std::map<std::string, Tensor> buffers;
  buffers["a"] = Tensor::Zeros(DType::kBF16, {1024});
  buffers["b"] = Tensor::Zeros(DType::kBF16, {1024});
  buffers["y"] = Tensor::Zeros(DType::kF32, {256});
  for (int m = 0; m < 16; ++m) {
    for (int k = 0; k < 64; ++k) buffers["a"].Set(m * 64 + k, (m * 7 + k * 3) % 11 - 5);
  }
  for (int k = 0; k < 64; ++k) {
    for (int n = 0; n < 16; ++n) buffers["b"].Set((k / 2 * 16 + n) * 2 + k % 2, (k + n) % 5 - 2);
  }
  const Status ran = Evaluate(*program, {}, buffers);
  ASSERT_TRUE(ran.ok()) << ran;
  for (int m = 0; m < 16; ++m) {
    for (int n = 0; n < 16; ++n) {
      int sum = 0;
      for (int k = 0; k < 64; ++k) sum += ((m * 7 + k * 3) % 11 - 5) * ((k + n) % 5 - 2);
      EXPECT_EQ(buffers["y"].Get(m * 16 + n), sum) << m << "," << n;
    }
  }
}

std::string TileRefusal(const std::string& from, const std::string& to) {
  std::string text = kTiles;
  text.replace(text.find(from), from.size(), to);
  const auto program = ParseProgram(text);
  if (!program.ok()) return std::string(program.status().message());
  return std::string(Verify(*program, ProgramStage::kLowered).message());
}

TEST(Verify, TilesAreNamedByNumbersOfARegisterOfTheirType) {
  EXPECT_THAT(TileRefusal("tile f32 [1,", "tile f32 [6,"),
              HasSubstr("there are 9 tiles at once; a matrix unit has 8"));
  EXPECT_THAT(TileRefusal("tile f32 [1,16,16]", "tile f32 [1,16,32]"),
              HasSubstr("16 rows of 64 bytes"));
  EXPECT_THAT(TileRefusal("tile_zero c.t[0]", "tile_zero c.t[1]"),
              HasSubstr("not named by a constant below 1"));
  EXPECT_THAT(TileRefusal("(a.t[0],b.t[1])", "(c.t[0],b.t[1])"),
              HasSubstr("has tiles of f32, not bf16"));
  EXPECT_THAT(TileRefusal("+= tdpbf16ps", "+= vdpbf16ps"), HasSubstr("does not multiply tiles"));
  EXPECT_THAT(TileRefusal("tile_store y[0] stride 16 = c.t[0]", "y[0] = c.t[0]"),
              HasSubstr("element by element"));
  EXPECT_THAT(TileRefusal("b.t[1] = b[k*512]", "b.t[1] = y[k*512]"),
              HasSubstr("is not memory of bf16"));
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

TEST(Evaluate, LooksUpWhatATableHas) {
  EXPECT_TRUE(Lookup(Var("i"), {3, 3, 3}).IsInt(3));
  EXPECT_TRUE(Lookup(Int(1), {3, 5}).IsInt(5));
  const Expr lookup = Lookup(Var("i"), {3, 5});
  EXPECT_EQ(Bounds(lookup, {})->max, 5);
  EXPECT_TRUE(Substitute(lookup, {{"i", Int(1)}}).IsInt(5));
  EXPECT_FALSE(Equal(lookup, Lookup(Var("i"), {3, 4})));
  EXPECT_THAT(std::string(ParseProgram("program/1\noutput y i64 [4]\nrun {\n  for i in 4 {\n    "
                                       "y[i] = lookup(2;1)\n  }\n}\n")
                              .status()
                              .message()),
              HasSubstr("the index of 'lookup' is not within its values"));
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

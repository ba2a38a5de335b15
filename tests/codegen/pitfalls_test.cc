// What has gone wrong between loop programs and fast machine code before, each as a test that reads
// the instructions.
#include <regex>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "compiler/codegen/code_generator.h"
#include "compiler/ir/evaluate.h"
#include "compiler/ir/program_text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/codegen/kernel_runner.h"
#include "tests/codegen/packed_microkernel.h"

namespace hone {
namespace {

Target TargetOf(const std::string& arch, const std::string& features) {
  return *Target::Parse("target/1 " + arch + " cpu=generic features=" + features +
                        " l1=32768 l2=524288 l3=0 cores=1 threads=1");
}
Target Avx2() { return TargetOf("x86_64", "avx,avx2,f16c,fma"); }
Target Avx512() { return TargetOf("x86_64", "avx,avx2,avx512f,f16c,fma"); }

Program Parsed(const std::string& text) {
  auto program = ParseProgram(text);
  EXPECT_TRUE(program.ok()) << program.status();
  return *program;
}

std::string AssemblyOf(const Program& program, const Target& target) {
  auto text = GenerateAssembly(program, target);
  EXPECT_TRUE(text.ok()) << text.status();
  return text.ok() ? *text : "";
}

int Count(const std::string& text, const std::string& pattern) {
  const std::regex regex(pattern);
  return static_cast<int>(
      std::distance(std::sregex_iterator(text.begin(), text.end(), regex), std::sregex_iterator()));
}

// LLVM reloads spilled tiles without their stride, so tiles must never be its values: each
// instruction names the register that the program does, and none is on the stack.
TEST(TilePitfalls, TilesStayInTheRegistersThatTheProgramNames) {
  const Program program = Parsed(R"(program/1
param rows 1..64
input a bf16 [1024,64]
prepared b bf16 [4096]
output y f32 [1024,32]
run {
  for m in rows {
    allocate c.t tile f32 [4,16,16]
    tile_zero c.t[0]
    tile_zero c.t[1]
    tile_zero c.t[2]
    tile_zero c.t[3]
    for k in 2 {
      allocate a.t tile bf16 [2,16,32]
      allocate b.t tile bf16 [2,16,32]
      tile_load a.t[0] = a[m*2048+k*32] stride 64
      tile_stream b.t[0] = b[k*1024] stride 32
      tile_multiply c.t[0] += tdpbf16ps(a.t[0],b.t[0])
      tile_load b.t[1] = b[k*1024+512] stride 32
      tile_multiply c.t[1] += tdpbf16ps(a.t[0],b.t[1])
      tile_load a.t[1] = a[m*2048+k*32+1024] stride 64
      tile_multiply c.t[2] += tdpbf16ps(a.t[1],b.t[0])
      tile_multiply c.t[3] += tdpbf16ps(a.t[1],b.t[1])
    }
    tile_store y[m*1024] stride 32 = c.t[0]
    tile_store y[m*1024+16] stride 32 = c.t[1]
    tile_store y[m*1024+512] stride 32 = c.t[2]
    tile_store y[m*1024+528] stride 32 = c.t[3]
  }
}
)");
  const Target target = TargetOf("x86_64", "amx-bf16,amx-tile,avx,avx2,avx512f,f16c,fma");
  const auto ir = GenerateLlvmIr(program, target);
  ASSERT_TRUE(ir.ok()) << ir.status();
  const std::string text = AssemblyOf(program, target);
  EXPECT_EQ(Count(text, "tilezero"), 4);
  EXPECT_EQ(Count(text, "tileloadd\\s"), 3);
  EXPECT_EQ(Count(text, "tileloaddt1"), 1) << "past the first cache";
  EXPECT_EQ(Count(text, "tdpbf16ps"), 4);
  EXPECT_EQ(Count(text, "tilestored"), 4);
  EXPECT_EQ(Count(text, "tdpbf16ps\\s+%tmm7, %tmm5, %tmm3"), 1) << text;
  EXPECT_EQ(Count(text, "tmm.*\\(%rsp|\\(%rsp.*tmm|tilerelease|ldtilecfg"), 0) << text;
  const auto artifact = GenerateCode(program, target);
  ASSERT_TRUE(artifact.ok()) << artifact.status();
  EXPECT_TRUE(artifact->manifest().needs_tiles());
  EXPECT_EQ(artifact->spill_count(), 0);
}

// Two taps of a convolution row in one block: tap 1 reads for column w what tap 0 reads for w + 1.
Program TwoTaps() {
  std::string body;
  for (int tap = 0; tap < 3; ++tap) {
    for (int m = 0; m < 2; ++m) {
      body += "    let a." + std::to_string(tap) + "." + std::to_string(m) + " = f[ramp(k*48+" +
              std::to_string(tap * 16 + m * 8) + ",1;8)]\n";
    }
    for (int w = 0; w < 6; ++w) {
      const std::string name = "b." + std::to_string(tap) + "." + std::to_string(w);
      body += "    let " + name + " = broadcast(x[k*8+" + std::to_string(w + tap) + "];8)\n";
      for (int m = 0; m < 2; ++m) {
        const std::string at = "acc[ramp(" + std::to_string(w * 16 + m * 8) + ",1;8)]";
        body += "    " + at + " = fma(" + name + ",a." + std::to_string(tap) + "." +
                std::to_string(m) + "," + at + ")\n";
      }
    }
  }
  std::string zero;
  std::string store;
  for (int i = 0; i < 12; ++i) {
    const std::string at = "[ramp(" + std::to_string(i * 8) + ",1;8)]";
    zero += "  acc" + at + " = broadcast(0x0p+0;8)\n";
    store += "  y" + at + " = acc" + at + "\n";
  }
  return Parsed("program/1\ninput x f32 [16,8]\ninput f f32 [16,48]\noutput y f32 [96]\nrun {\n" +
                std::string("  allocate acc register f32 [96]\n") + zero +
                "  straight_line for k in 16 {\n" + body + "  }\n" + store + "}\n");
}

TEST(Pitfalls, LoadsThatTapsShareAreNotKeptInRegisters) {
  const Program program = TwoTaps();
  const auto artifact = GenerateCode(program, Avx2());
  ASSERT_TRUE(artifact.ok()) << artifact.status();
  EXPECT_EQ(artifact->spill_count(), 0);
  EXPECT_EQ(Count(AssemblyOf(program, Avx2()), "vbroadcastss"), 18);
  std::map<std::string, Tensor> expected;
  expected["x"] = Tensor::Zeros(DType::kF32, {16, 8});
  expected["f"] = Tensor::Zeros(DType::kF32, {16, 48});
  expected["y"] = Tensor::Zeros(DType::kF32, {96});
  for (int i = 0; i < 128; ++i) expected["x"].Set(i, i % 11 - 5);
  for (int i = 0; i < 768; ++i) expected["f"].Set(i, i % 13 - 6);
  std::map<std::string, Tensor> actual = expected;
  ASSERT_TRUE(Evaluate(program, {}, expected).ok());
  ASSERT_TRUE(RunArtifact(*artifact, {}, actual).ok());
  EXPECT_EQ(actual["y"].bytes, expected["y"].bytes);
}

// Stores were taken for a change of all memory, so that each of the parts that a value is split
// into was made from it anew.
TEST(Pitfalls, WhatStatementsOfABlockReadIsLoadedOnceUntilItIsStoredTo) {
  const auto loads = [](const std::string& second) {
    const Program program = Parsed(
        "program/1\ninput x f32 [64]\noutput y f32 [64]\noutput z f32 [64]\nrun {\n"
        "  for i in 4 {\n    y[ramp(i*16,1;16)] = x[ramp(i*16,1;16)]+y[ramp(i*16,1;16)]\n" +
        second + "  }\n}\n");
    const auto ir = GenerateLlvmIr(program, Avx512());
    EXPECT_TRUE(ir.ok()) << ir.status();
    return ir.ok() ? Count(*ir, "load <16 x float>") : 0;
  };
  EXPECT_EQ(loads("    z[ramp(i*16,1;16)] = x[ramp(i*16,1;16)]*x[ramp(i*16,1;16)]\n"), 2);
  EXPECT_EQ(loads("    z[ramp(i*16,1;16)] = y[ramp(i*16,1;16)]*x[ramp(i*16,1;16)]\n"), 3);
}

TEST(Pitfalls, LegalTilesDoNotSpillAndOversizedOnesAreSeen) {
  for (int unroll : {1, 2, 4}) {
    for (const auto& [vectors, scalars] : std::vector<std::pair<int, int>>{{2, 5}, {2, 6}}) {
      const auto artifact = GenerateCode(
          MakePackedMicrokernel({.vectors = vectors, .scalars = scalars, .unroll = unroll}),
          Avx2());
      ASSERT_TRUE(artifact.ok()) << artifact.status();
      EXPECT_EQ(artifact->spill_count(), 0) << vectors << "x" << scalars << " ku" << unroll;
    }
    for (const auto& [vectors, scalars] :
         std::vector<std::pair<int, int>>{{2, 12}, {3, 8}, {4, 6}}) {
      const auto artifact =
          GenerateCode(MakePackedMicrokernel(
                           {.vectors = vectors, .scalars = scalars, .unroll = unroll, .lanes = 16}),
                       Avx512());
      ASSERT_TRUE(artifact.ok()) << artifact.status();
      EXPECT_EQ(artifact->spill_count(), 0) << vectors << "x" << scalars << " ku" << unroll;
    }
  }
  const auto oversized = GenerateCode(MakePackedMicrokernel({.vectors = 4, .scalars = 5}), Avx2());
  ASSERT_TRUE(oversized.ok());
  EXPECT_GT(oversized->spill_count(), 0);
}

// A tile of 6 x 2 vectors, two groups a step: the largest that sixteen registers hold beside one of
// products.
Program DotTile(const std::string& dot, const std::string& left, const std::string& right,
                int lanes, int group) {
  const int run = lanes * group;
  std::string body;
  for (int k = 0; k < 2; ++k) {
    for (int v = 0; v < 2; ++v) {
      absl::StrAppend(&body, "let w", k, v, " = w[ramp(k*", 4 * run, "+", (2 * k + v) * run, ",1;",
                      run, ")]\n");
    }
    for (int m = 0; m < 6; ++m) {
      absl::StrAppend(&body, "let x", k, m, " = repeat(x[ramp(k*", 2 * group, "+",
                      m * 1024 + k * group, ",1;", group, ")];", run, ")\n");
      for (int v = 0; v < 2; ++v) {
        const std::string sums = absl::StrCat("c[ramp(", (2 * m + v) * lanes, ",1;", lanes, ")]");
        absl::StrAppend(&body, sums, " = dot.", dot, "(", sums, ",x", k, m, ",w", k, v, ")\n");
      }
    }
  }
  std::string text =
      absl::StrCat("program/1\nparam depth 0..64\ninput x ", left, " [8192]\nprepared w ", right,
                   " [65536]\noutput y i32 [", 12 * lanes, "]\nrun {\nallocate c register i32 [",
                   12 * lanes, "]\n");
  for (int t = 0; t < 12; ++t) {
    absl::StrAppend(&text, "c[ramp(", t * lanes, ",1;", lanes, ")] = broadcast(0:i32;", lanes,
                    ")\n");
  }
  absl::StrAppend(&text, "for k in depth {\n", body, "}\n");
  for (int t = 0; t < 12; ++t) {
    const std::string at = absl::StrCat("[ramp(", t * lanes, ",1;", lanes, ")]");
    absl::StrAppend(&text, "y", at, " = c", at, "\n");
  }
  return Parsed(text + "}\n");
}

// Reassociating the sums would keep products alive, and groups must be broadcast by the load.
TEST(Pitfalls, DotsKeepTheirSumsInRegistersAndTheirGroupsInOneBroadcast) {
  const std::string pairs = AssemblyOf(DotTile("pmaddwd", "i16", "i16", 8, 2), Avx2());
  EXPECT_EQ(Count(pairs, "vpmaddwd"), 24);
  EXPECT_EQ(Count(pairs, "vpaddd"), 24);
  EXPECT_EQ(Count(pairs, R"(vpbroadcastd\s+[-\d]*\(%r)"), 12);
  EXPECT_EQ(Count(pairs, R"(%ymm\d+, [-\d]*\(%rsp\))"), 0);
  const Target vnni = TargetOf("x86_64", "avx,avx2,avx512f,avx512bw,avx512vl,avx512vnni,f16c,fma");
  const std::string quads = AssemblyOf(DotTile("vpdpbusd", "u8", "i8", 16, 4), vnni);
  EXPECT_EQ(Count(quads, R"(vpdpbusd.*%zmm)"), 24);
  EXPECT_EQ(Count(quads, "vpaddd"), 0);
  EXPECT_EQ(Count(quads, R"(vpbroadcastd\s+[-\d]*\(%r)") + Count(quads, R"(\{1to16\})"), 12);
}

TEST(Pitfalls, WideVectorsAreNotSplit) {
  const Program program =
      MakePackedMicrokernel({.vectors = 2, .scalars = 12, .unroll = 2, .lanes = 16});
  const std::string assembly = AssemblyOf(program, Avx512());
  EXPECT_EQ(Count(assembly, "vfmadd\\w+ps\\s.*%zmm"), 48);
  EXPECT_EQ(Count(assembly, "vfmadd\\w+ps\\s.*%ymm"), 0);
}

TEST(Pitfalls, EachFmaNodeIsOneInstructionAndNothingElseIsContracted) {
  const std::string micro =
      AssemblyOf(MakePackedMicrokernel({.vectors = 2, .scalars = 6, .unroll = 4}), Avx2());
  EXPECT_EQ(Count(micro, "vfmadd\\w+ps"), 48);
  EXPECT_EQ(Count(micro, "vmulps|vaddps"), 0);
  const std::string apart =
      AssemblyOf(Parsed("program/1\ninput x f32 [8]\noutput y f32 [8]\nrun {\n"
                        "  y[ramp(0,1;8)] = (x[ramp(0,1;8)]*x[ramp(0,1;8)])+x[ramp(0,1;8)]\n}\n"),
                 Avx2());
  EXPECT_EQ(Count(apart, "vfmadd"), 0);
  EXPECT_EQ(Count(apart, "vmulps"), 1);
}

TEST(Pitfalls, ConversionsOfHalvesCallNoLibrary) {
  const Program program = Parsed(
      "program/1\ninput x f16 [64]\ninput z bf16 [64]\noutput y f16 [64]\noutput u bf16 [64]\n"
      "run {\n  for i in 64 {\n    y[i] = f16(f32(x[i])*0x1.8p+0)\n    u[i] = z[i]*z[i]\n  }\n}\n");
  for (const Target& target : {Avx2(), TargetOf("x86_64", ""), TargetOf("aarch64", "neon"),
                               TargetOf("armv7l", "neon,vfp4")}) {
    const auto artifact = GenerateCode(program, target);
    EXPECT_TRUE(artifact.ok()) << target.ToString() << ": " << artifact.status();
  }
}

TEST(Pitfalls, DivisionsAndRoundingsCallNoLibrary) {
  const Program program = Parsed(
      "program/1\nparam n 1..64\ninput x f32 [n,3]\noutput y f32 [n,3]\nrun {\n"
      "  for i in n*3 {\n    y[i] = floor(x[floordiv(i,3)*3+floormod(i,3)])+round(x[i])\n"
      "    y[i] = y[i]+f32(floordiv(i,n))\n  }\n}\n");
  for (const Target& target : {Avx2(), TargetOf("x86_64", ""), TargetOf("aarch64", "neon")}) {
    const auto artifact = GenerateCode(program, target);
    EXPECT_TRUE(artifact.ok()) << target.ToString() << ": " << artifact.status();
  }
  const auto by_constant = GenerateCode(
      Parsed("program/1\ninput x f32 [64,3]\noutput y f32 [64,3]\nrun {\n  for i in 192 {\n"
             "    y[i] = trunc(x[floordiv(i,3)*3+floormod(i,3)])\n  }\n}\n"),
      TargetOf("armv7l", "neon,vfp4"));
  EXPECT_TRUE(by_constant.ok()) << by_constant.status();
}

TEST(Pitfalls, ALibraryCallIsAnErrorThatNamesIt) {
  // 32-bit ARM of this kind divides by run-time values with a function.
  const auto artifact =
      GenerateCode(Parsed("program/1\nparam n 1..64\noutput y i32 [64]\nrun {\n  for i in 64 {\n"
                          "    y[i] = i32(floordiv(i,n))\n  }\n}\n"),
                   TargetOf("armv7l", "neon,vfp4"));
  EXPECT_THAT(std::string(artifact.status().message()), testing::HasSubstr("__aeabi_idiv"));
}

TEST(Pitfalls, TheSameProgramGivesTheSameBytes) {
  const Program program = MakePackedMicrokernel({});
  const auto first = GenerateCode(program, Avx2());
  const auto second = GenerateCode(program, Avx2());
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(first->code(), second->code());
}

}  // namespace
}  // namespace hone

#include "runtime/cpu_features.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace {

using ::testing::ElementsAre;

std::vector<std::string> FeaturesOf(const hone_cpu& cpu) {
  std::vector<std::string> features;
  const char* name = nullptr;
  while (hone_cpu_feature(&cpu, static_cast<int>(features.size()), &name) != 0) {
    features.emplace_back(name);
  }
  return features;
}

std::string MissingOf(const hone_cpu& cpu, const std::string& needed) {
  char missing[64] = "not written";
  const int count = hone_cpu_missing(&cpu, needed.c_str(), missing, sizeof(missing));
  EXPECT_EQ(count == 0, missing[0] == '\0');
  return missing;
}

// CPUID's words as an AVX2 machine has them: leaf 1, leaf 7, ..., XCR0.
constexpr uint64_t kLeaf1 =
    1u << 0 | 1u << 9 | 1u << 12 | 1u << 19 | 1u << 20 | 1u << 27 | 1u << 28 | 1u << 29;
constexpr hone_cpu kAvx2 = {HONE_CPU_X86_64, {kLeaf1, 1u << 5, 0, 0, 0, 1u << 5, 0x7}};

TEST(CpuFeatures, NamesWhatTheWordsOfAnX86Say) {
  EXPECT_THAT(FeaturesOf(kAvx2), ElementsAre("avx", "avx2", "f16c", "fma", "lzcnt", "sse3",
                                             "sse4.1", "sse4.2", "ssse3"));
}

TEST(CpuFeatures, LeavesOutInstructionsWhoseRegistersTheSystemDoesNotSave) {
  hone_cpu cpu = kAvx2;
  cpu.words[1] |= 1u << 16;  // avx512f, but XCR0 saves ymm registers only
  EXPECT_EQ(MissingOf(cpu, "avx2,avx512f"), "avx512f");
  cpu.words[6] = 0xe7;
  EXPECT_EQ(MissingOf(cpu, "avx2,avx512f"), "");
  cpu.words[6] = 0;
  EXPECT_THAT(FeaturesOf(cpu), ElementsAre("lzcnt", "sse3", "sse4.1", "sse4.2", "ssse3"));
}

TEST(CpuFeatures, NamesWhatABoardSays) {
  const hone_cpu cpu = {HONE_CPU_AARCH64, {1u << 1 | 1u << 10 | 1u << 20, 1u << 13}};
  EXPECT_THAT(FeaturesOf(cpu), ElementsAre("dotprod", "fullfp16", "i8mm", "neon"));
  EXPECT_EQ(MissingOf(cpu, "neon,sve,i8mm,bf16"), "sve,bf16");
}

TEST(CpuFeatures, ListsWhatIsMissingAsItWasAskedFor) {
  EXPECT_EQ(MissingOf(kAvx2, ""), "");
  EXPECT_EQ(MissingOf(kAvx2, "avx,avx2,fma"), "");
  EXPECT_EQ(MissingOf(kAvx2, "avx,avx51"), "avx51");
  EXPECT_EQ(MissingOf(kAvx2, "from-the-future,avx2,avx512f"), "from-the-future,avx512f");
  char small[12];
  EXPECT_EQ(hone_cpu_missing(&kAvx2, "avx512f,avx512vl,amx", small, sizeof(small)), 3);
  EXPECT_STREQ(small, "avx512f,amx");
}

// Linux's own reading of the same registers.
TEST(CpuFeatures, AgreesWithTheSystemOnThisMachine) {
  const std::map<std::string, std::string> system_names = {
      {"pni", "sse3"},
      {"ssse3", "ssse3"},
      {"sse4_1", "sse4.1"},
      {"sse4_2", "sse4.2"},
      {"popcnt", "popcnt"},
      {"movbe", "movbe"},
      {"abm", "lzcnt"},
      {"bmi1", "bmi"},
      {"bmi2", "bmi2"},
      {"avx", "avx"},
      {"f16c", "f16c"},
      {"fma", "fma"},
      {"avx2", "avx2"},
      {"avx_vnni", "avxvnni"},
      {"avx512f", "avx512f"},
      {"avx512cd", "avx512cd"},
      {"avx512dq", "avx512dq"},
      {"avx512bw", "avx512bw"},
      {"avx512vl", "avx512vl"},
      {"avx512ifma", "avx512ifma"},
      {"avx512vbmi", "avx512vbmi"},
      {"avx512_vbmi2", "avx512vbmi2"},
      {"avx512_vnni", "avx512vnni"},
      {"avx512_bitalg", "avx512bitalg"},
      {"avx512_vpopcntdq", "avx512vpopcntdq"},
      {"avx512_bf16", "avx512bf16"},
      {"avx512_fp16", "avx512fp16"},
      {"amx_tile", "amx-tile"},
      {"amx_bf16", "amx-bf16"},
      {"amx_int8", "amx-int8"},
      {"amx_fp16", "amx-fp16"},
      {"asimd", "neon"},
      {"asimdhp", "fullfp16"},
      {"asimddp", "dotprod"},
      {"bf16", "bf16"},
      {"i8mm", "i8mm"},
      {"sve", "sve"},
      {"sve2", "sve2"},
  };
  std::ifstream file("/proc/cpuinfo");
  std::vector<std::string> expected;
  for (std::string line; expected.empty() && std::getline(file, line);) {
    if (line.rfind("flags", 0) != 0 && line.rfind("Features", 0) != 0) continue;
    std::istringstream words(line);
    for (std::string word; words >> word;) {
      if (system_names.contains(word)) expected.push_back(system_names.at(word));
    }
  }
  if (expected.empty()) GTEST_SKIP() << "/proc/cpuinfo lists no features";
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(FeaturesOf(hone_cpu_read()), expected);
}

}  // namespace

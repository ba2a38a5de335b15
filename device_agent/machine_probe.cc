#include "device_agent/machine_probe.h"

#include <sys/utsname.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <set>
#include <sstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/cpus.h"
#include "device_agent/sensors.h"
#include "runtime/cpu_features.h"

namespace hone {
namespace {

struct IntelModel {
  int model;
  const char* name;
};

// Family 6.
constexpr IntelModel kIntelModels[] = {
    {0x3c, "haswell"},         {0x3f, "haswell"},        {0x45, "haswell"},
    {0x46, "haswell"},         {0x3d, "broadwell"},      {0x47, "broadwell"},
    {0x4f, "broadwell"},       {0x56, "broadwell"},      {0x4e, "skylake"},
    {0x5e, "skylake"},         {0x8e, "skylake"},        {0x9e, "skylake"},
    {0xa5, "skylake"},         {0xa6, "skylake"},        {0x6a, "icelake-server"},
    {0x6c, "icelake-server"},  {0x7d, "icelake-client"}, {0x7e, "icelake-client"},
    {0x8c, "tigerlake"},       {0x8d, "tigerlake"},      {0x97, "alderlake"},
    {0x9a, "alderlake"},       {0xb7, "raptorlake"},     {0xba, "raptorlake"},
    {0xbf, "raptorlake"},      {0xaa, "meteorlake"},     {0xac, "meteorlake"},
    {0x8f, "sapphirerapids"},  {0xcf, "emeraldrapids"},  {0xad, "graniterapids"},
    {0xae, "graniterapids-d"},
};

struct ArmPart {
  const char* part;  // of implementer 0x41, Arm
  const char* name;
};

constexpr ArmPart kArmParts[] = {
    {"0xd03", "cortex-a53"},  {"0xd05", "cortex-a55"},  {"0xd07", "cortex-a57"},
    {"0xd08", "cortex-a72"},  {"0xd09", "cortex-a73"},  {"0xd0a", "cortex-a75"},
    {"0xd0b", "cortex-a76"},  {"0xd0c", "neoverse-n1"}, {"0xd0d", "cortex-a77"},
    {"0xd40", "neoverse-v1"}, {"0xd41", "cortex-a78"},  {"0xd42", "cortex-a78ae"},
    {"0xd44", "cortex-x1"},   {"0xd49", "neoverse-n2"}, {"0xd4f", "neoverse-v2"},
};

bool Has(const std::vector<std::string>& features, absl::string_view name) {
  return std::find(features.begin(), features.end(), name) != features.end();
}

bool HasAll(const std::vector<std::string>& features,
            std::initializer_list<absl::string_view> names) {
  return std::all_of(names.begin(), names.end(),
                     [&](absl::string_view name) { return Has(features, name); });
}

std::string Field(const std::map<std::string, std::string>& fields, const std::string& name) {
  const auto it = fields.find(name);
  return it == fields.end() ? "" : it->second;
}

int IntField(const std::map<std::string, std::string>& fields, const std::string& name) {
  int value = 0;
  return absl::SimpleAtoi(Field(fields, name), &value) ? value : 0;
}

std::string GenericX86(const std::vector<std::string>& features) {
  if (HasAll(features, {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}))
    return "x86-64-v4";
  if (HasAll(features, {"avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe"}))
    return "x86-64-v3";
  return HasAll(features, {"popcnt", "sse4.2", "ssse3"}) ? "x86-64-v2" : "x86-64";
}

std::string AmdCpu(int family, int model) {
  if (family == 0x17) return model >= 0x30 ? "znver2" : "znver1";
  if (family == 0x1a) return "znver5";
  if (family != 0x19) return "";
  const bool zen4 = (model >= 0x10 && model <= 0x1f) || (model >= 0x60 && model <= 0x7f) ||
                    (model >= 0xa0 && model <= 0xaf);
  return zen4 ? "znver4" : "znver3";
}

std::string IntelCpu(int family, int model, const std::vector<std::string>& features) {
  if (family != 6) return "";
  if (model == 0x55) {
    if (Has(features, "avx512bf16")) return "cooperlake";
    return Has(features, "avx512vnni") ? "cascadelake" : "skylake-avx512";
  }
  for (const IntelModel& known : kIntelModels) {
    if (known.model == model) return known.name;
  }
  return "";
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string ReadLine(const std::string& path) {
  return std::string(absl::StripAsciiWhitespace(ReadFile(path)));
}

// "key : value" lines up to the first empty one.
std::map<std::string, std::string> FirstProcessor(const std::string& cpuinfo) {
  std::map<std::string, std::string> fields;
  for (absl::string_view line : absl::StrSplit(cpuinfo, '\n')) {
    if (absl::StripAsciiWhitespace(line).empty() && !fields.empty()) break;
    const std::vector<std::string> pair = absl::StrSplit(line, absl::MaxSplits(':', 1));
    if (pair.size() == 2)
      fields[std::string(absl::StripAsciiWhitespace(pair[0]))] =
          std::string(absl::StripAsciiWhitespace(pair[1]));
  }
  return fields;
}

// "32K", "1M" or plain bytes; 0 when it is none of them.
int64_t ParseCacheSize(absl::string_view text) {
  int64_t unit = 1;
  if (absl::ConsumeSuffix(&text, "K")) unit = 1 << 10;
  if (absl::ConsumeSuffix(&text, "M")) unit = 1 << 20;
  int64_t value = 0;
  return absl::SimpleAtoi(text, &value) ? value * unit : 0;
}

// Sets what sysfs knows; virtual machines and small boards often say nothing, then the target's
// defaults stay.
void ReadCaches(const std::string& cpu_folder, Target& target) {
  for (int i = 0; i < 8; ++i) {
    const std::string cache = absl::StrCat(cpu_folder, "/cache/index", i);
    const int64_t bytes = ParseCacheSize(ReadLine(cache + "/size"));
    if (bytes <= 0 || ReadLine(cache + "/type") == "Instruction") continue;
    const std::string level = ReadLine(cache + "/level");
    if (level == "1") target.l1_bytes = bytes;
    if (level == "2") target.l2_bytes = bytes;
    if (level == "3") target.l3_bytes = bytes;
  }
}

// Physical cores among `cpus`: hyperthreads of one core have the same list of siblings.
int CountCores(const std::string& root, const std::vector<int>& cpus) {
  std::set<std::string> cores;
  for (int cpu : cpus) {
    const std::string siblings = ReadLine(
        absl::StrCat(root, "/sys/devices/system/cpu/cpu", cpu, "/topology/thread_siblings_list"));
    cores.insert(siblings.empty() ? absl::StrCat("cpu", cpu) : siblings);
  }
  return std::max<int>(1, static_cast<int>(cores.size()));
}

std::string OsName(const std::string& os_release) {
  for (absl::string_view line : absl::StrSplit(os_release, '\n')) {
    if (!absl::ConsumePrefix(&line, "PRETTY_NAME=")) continue;
    absl::ConsumePrefix(&line, "\"");
    absl::ConsumeSuffix(&line, "\"");
    return std::string(line);
  }
  return "";
}

// Models of the NVIDIA cards whose driver is loaded: "NVIDIA H100, NVIDIA H100".
std::string Gpus(const std::string& root) {
  std::vector<std::string> models;
  std::error_code error;
  for (const auto& card :
       std::filesystem::directory_iterator(root + "/proc/driver/nvidia/gpus", error)) {
    const auto fields = FirstProcessor(ReadFile(card.path() / "information"));
    models.push_back(Field(fields, "Model"));
  }
  std::sort(models.begin(), models.end());
  return absl::StrJoin(models, ", ");
}

std::vector<std::string> CpuFeatures() {
  const hone_cpu cpu = hone_cpu_read();
  std::vector<std::string> features;
  const char* name = nullptr;
  while (hone_cpu_feature(&cpu, static_cast<int>(features.size()), &name) != 0) {
    features.emplace_back(name);
  }
  return features;
}

}  // namespace

std::string LlvmCpu(absl::string_view arch, const std::map<std::string, std::string>& cpuinfo,
                    const std::vector<std::string>& features) {
  if (arch == "x86_64") {
    const std::string vendor = Field(cpuinfo, "vendor_id");
    const int family = IntField(cpuinfo, "cpu family");
    const int model = IntField(cpuinfo, "model");
    std::string name;
    if (vendor == "AuthenticAMD") name = AmdCpu(family, model);
    if (vendor == "GenuineIntel") name = IntelCpu(family, model, features);
    return name.empty() ? GenericX86(features) : name;
  }
  if (arch == "aarch64" && Field(cpuinfo, "CPU implementer") == "0x41") {
    for (const ArmPart& known : kArmParts) {
      if (Field(cpuinfo, "CPU part") == known.part) return known.name;
    }
  }
  return "generic";
}

Machine ProbeMachine(const std::string& root, const std::string& arch,
                     std::vector<std::string> features, const std::vector<int>& cpus) {
  Machine machine;
  const std::map<std::string, std::string> cpuinfo =
      FirstProcessor(ReadFile(root + "/proc/cpuinfo"));
  const std::string flags = Field(cpuinfo, arch == "x86_64" ? "flags" : "Features");
  const std::vector<std::string> flag_list = absl::StrSplit(flags, ' ', absl::SkipEmpty());
  const std::string cpu_folder =
      absl::StrCat(root, "/sys/devices/system/cpu/cpu", cpus.empty() ? 0 : cpus.front());

  Target& target = machine.target;
  target.arch = arch;
  target.features = std::move(features);
  target.cpu = LlvmCpu(arch, cpuinfo, target.features);
  ReadCaches(cpu_folder, target);
  target.cores = CountCores(root, cpus);
  target.threads = 1;

  const auto fact = [&](const char* name, const std::string& value) {
    if (!value.empty()) machine.facts[name] = value;
  };
  fact("os", OsName(ReadFile(root + "/etc/os-release")));
  fact("kernel", ReadLine(root + "/proc/sys/kernel/osrelease"));
  const std::string model = Field(cpuinfo, "model name");
  fact("model", model.empty() ? ReadLine(root + "/proc/device-tree/model") : model);
  fact("microcode", Field(cpuinfo, "microcode"));
  fact("sensors", absl::StrJoin(SensorsPresent(ReadSensors(root, cpus)), " "));
  fact("gpu", Gpus(root));
  fact("processors", CpuListText(cpus));
  const std::string governor = ReadLine(cpu_folder + "/cpufreq/scaling_governor");
  fact("governor", governor);
  const std::string load = ReadLine(root + "/proc/loadavg");
  fact("load", load.substr(0, load.find(' ')));
  const bool is_virtual = Has(flag_list, "hypervisor");
  fact("virtual", is_virtual ? "yes" : "no");
  // Only a machine whose clock is known to stand still, and which is its own, is fit to compare
  // with others.
  fact("quality", governor == "performance" && !is_virtual ? "bench" : "indicative");
  return machine;
}

Machine ProbeThisMachine(const std::string& root, std::vector<int> cpus) {
  utsname names;
  uname(&names);
  if (cpus.empty()) cpus = AllowedCpus();
  if (cpus.empty()) cpus = {0};
  return ProbeMachine(root, names.machine, CpuFeatures(), cpus);
}

}  // namespace hone

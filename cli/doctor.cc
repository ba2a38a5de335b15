#include "cli/doctor.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace hone {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr int64_t kGiB = int64_t{1} << 30;

std::string Gibibytes(int64_t bytes) {
  return absl::StrFormat("%.1f GiB", static_cast<double>(bytes) / kGiB);
}

bool HasFlag(const MachineFacts& facts, const char* flag) {
  return std::find(facts.cpu_flags.begin(), facts.cpu_flags.end(), flag) != facts.cpu_flags.end();
}

Finding Cpu(const MachineFacts& facts) {
  std::string features;
  for (const char* flag : {"avx2", "fma", "f16c", "avx512f", "avx512_vnni", "amx_tile", "asimd"}) {
    if (HasFlag(facts, flag)) absl::StrAppend(&features, " ", flag);
  }
  Finding finding{Verdict::kOk, "cpu",
                  absl::StrCat(facts.cpu_model.empty() ? facts.arch : facts.cpu_model, ", ",
                               facts.cores, facts.cores == 1 ? " core," : " cores,",
                               features.empty() ? " no vector features" : features),
                  ""};
  if (facts.arch == "x86_64" && !(HasFlag(facts, "avx2") && HasFlag(facts, "fma"))) {
    finding.verdict = Verdict::kWarn;
    finding.remedy =
        "no AVX2 with FMA: kernels will be slow; in a virtual machine, pass the host's CPU through";
  }
  return finding;
}

Finding Speed(const MachineFacts& facts) {
  const pb::CoreSpeed& speed = facts.speed;
  std::vector<std::string> reads;
  const auto add = [&](double gbps, const char* from) {
    if (gbps > 0) reads.push_back(absl::StrFormat("%.0f from %s", gbps, from));
  };
  add(speed.l1_gbps(), "L1");
  add(speed.l2_gbps(), "L2");
  add(speed.l3_gbps(), "L3");
  add(speed.memory_gbps(), "memory");
  if (!(speed.peak_gflops() > 0)) {
    return {Verdict::kWarn, "speed of a core", "hone-agent did not measure it",
            "see what hone-agent --probe says"};
  }
  return {Verdict::kOk, "speed of a core",
          absl::StrFormat("%.1f GFLOP/s fp32; GB/s read: %s", speed.peak_gflops(),
                          reads.empty() ? "not measured" : absl::StrJoin(reads, ", ")),
          ""};
}

Finding Load(const MachineFacts& facts) {
  Finding finding{Verdict::kOk, "load", absl::StrFormat("%.1f", facts.load), ""};
  if (facts.load > 0.5 * facts.cores) {
    finding.verdict = Verdict::kWarn;
    finding.remedy = "others compute on this machine: times will scatter; tune when it is quiet";
  }
  return finding;
}

Finding Governor(const MachineFacts& facts) {
  if (facts.governor.empty()) {
    return {Verdict::kOk, "governor", "not visible here (usual in a virtual machine)", ""};
  }
  if (facts.governor == "performance") return {Verdict::kOk, "governor", facts.governor, ""};
  return {Verdict::kWarn, "governor", facts.governor,
          "the clock wanders while measuring: sudo cpupower frequency-set -g performance"};
}

Finding HugePages(const MachineFacts& facts) {
  if (facts.huge_pages == "always" || facts.huge_pages == "madvise") {
    return {Verdict::kOk, "huge pages", facts.huge_pages, ""};
  }
  return {Verdict::kWarn, "huge pages", facts.huge_pages.empty() ? "unknown" : facts.huge_pages,
          "large layers pay for address translation: echo madvise | sudo tee "
          "/sys/kernel/mm/transparent_hugepage/enabled"};
}

Finding Memory(const MachineFacts& facts) {
  Finding finding{Verdict::kOk, "memory",
                  absl::StrCat(Gibibytes(facts.memory_available_bytes), " available"), ""};
  if (facts.memory_available_bytes < kGiB) {
    finding.verdict = Verdict::kWarn;
    finding.remedy = "tuning wants about 1 GiB beside the model: close programs";
  }
  return finding;
}

Finding Database(const MachineFacts& facts) {
  Finding finding{Verdict::kOk, "database",
                  absl::StrCat(facts.database_path, ", ", Gibibytes(facts.database_free_bytes),
                               " free beside it"),
                  ""};
  if (!facts.database_problem.empty()) {
    finding.verdict = Verdict::kFail;
    finding.what =
        absl::StrCat(facts.database_path, " cannot be written: ", facts.database_problem);
    finding.remedy = "give yourself the right, or name another file with --db or HONE_DB";
  } else if (facts.database_free_bytes < 100 * kMiB) {
    finding.verdict = Verdict::kFail;
    finding.remedy = "the disk is almost full: free some space, or name another disk with --db";
  }
  return finding;
}

Finding SharedMemory(const MachineFacts& facts) {
  if (!facts.shm_writable) {
    return {Verdict::kFail, "/dev/shm", "cannot be written",
            "kernels pass through it: mount -t tmpfs -o mode=1777 tmpfs /dev/shm"};
  }
  Finding finding{Verdict::kOk, "/dev/shm",
                  absl::StrFormat("%d MiB free", facts.shm_free_bytes / kMiB), ""};
  if (facts.shm_free_bytes < 64 * kMiB) {
    finding.verdict = Verdict::kWarn;
    finding.remedy = "small (usual in a container): docker run --shm-size=1g";
  }
  return finding;
}

Finding Sandbox(const MachineFacts& facts) {
  if (facts.user_namespaces_max.value_or(1) > 0) {
    return {Verdict::kOk, "sandbox", "user namespaces are there", ""};
  }
  return {Verdict::kWarn, "sandbox", "no user namespaces: candidates run behind seccomp alone",
          "sudo sysctl user.max_user_namespaces=10000"};
}

std::vector<Finding> Programs(const MachineFacts& facts) {
  std::vector<Finding> findings;
  for (const auto& [program, path] : facts.programs) {
    if (path.empty()) {
      findings.push_back({Verdict::kFail, program, "not found beside hone nor on the PATH",
                          "hone tune starts it: make build, or install it beside hone"});
    } else {
      findings.push_back({Verdict::kOk, program, path, ""});
    }
  }
  return findings;
}

Finding Tracker(const MachineFacts& facts) {
  if (facts.tracker.empty()) {
    return {Verdict::kOk, "tracker", "none asked for: hone tune starts its own", ""};
  }
  if (!facts.tracker_problem.empty()) {
    return {Verdict::kFail, "tracker",
            absl::StrCat(facts.tracker, " does not answer: ", facts.tracker_problem),
            "start hone-tracker there, or check the address and the firewall"};
  }
  Finding finding{Verdict::kOk, "tracker",
                  absl::StrCat(facts.tracker, ", ", facts.tracker_devices,
                               facts.tracker_devices == 1 ? " device" : " devices"),
                  ""};
  if (facts.tracker_devices == 0) {
    finding.verdict = Verdict::kWarn;
    finding.remedy = "start hone-agent on a device and point it at this tracker";
  }
  return finding;
}

absl::string_view VerdictWord(Verdict verdict) {
  switch (verdict) {
    case Verdict::kOk:
      return "ok";
    case Verdict::kWarn:
      return "warn";
    case Verdict::kFail:
      return "FAIL";
  }
  return "";
}

}  // namespace

std::vector<Finding> Diagnose(const MachineFacts& facts) {
  std::vector<Finding> findings = {Cpu(facts),      Speed(facts),        Load(facts),
                                   Governor(facts), HugePages(facts),    Memory(facts),
                                   Database(facts), SharedMemory(facts), Sandbox(facts)};
  for (Finding& finding : Programs(facts)) findings.push_back(std::move(finding));
  findings.push_back(Tracker(facts));
  return findings;
}

std::string RenderFindings(const std::vector<Finding>& findings) {
  std::string text;
  int warnings = 0;
  int failures = 0;
  for (const Finding& finding : findings) {
    absl::StrAppend(&text, absl::StrFormat("%-4s  %-17s  %s\n", VerdictWord(finding.verdict),
                                           finding.subject, finding.what));
    if (!finding.remedy.empty())
      absl::StrAppend(&text, "                         -> ", finding.remedy, "\n");
    warnings += finding.verdict == Verdict::kWarn;
    failures += finding.verdict == Verdict::kFail;
  }
  if (failures > 0) {
    absl::StrAppend(&text, "\nhone cannot work here yet: see the lines marked FAIL.\n");
  } else if (warnings > 0) {
    absl::StrAppend(&text, "\nhone works here, and would measure better without the warnings.\n");
  } else {
    absl::StrAppend(&text, "\nThis machine lacks nothing. Next: hone tune MODEL.onnx\n");
  }
  return text;
}

}  // namespace hone

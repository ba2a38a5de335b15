#include "cli/doctor.h"

#include <algorithm>

#include "absl/strings/ascii.h"
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

// Errors of ours say what is wrong, and after a semicolon what to do about it.
Finding FindingOf(Verdict verdict, const char* subject, const Status& status) {
  const std::string text(status.message());
  const size_t split = text.find("; ");
  if (split == std::string::npos) return {verdict, subject, text, "see the manual, A farm"};
  return {verdict, subject, text.substr(0, split), text.substr(split + 2)};
}

Finding Database(const MachineFacts& facts) {
  Finding finding{Verdict::kOk, "database",
                  absl::StrCat(facts.database_path, ", ", Gibibytes(facts.database_free_bytes),
                               " free beside it"),
                  ""};
  if (facts.database_is_server) {
    finding.what = absl::StrCat(facts.database_path, " answers");
    return facts.database_open.ok() ? finding
                                    : FindingOf(Verdict::kFail, "database", facts.database_open);
  }
  if (!facts.database_problem.empty()) {
    finding.verdict = Verdict::kFail;
    finding.what =
        absl::StrCat(facts.database_path, " cannot be written: ", facts.database_problem);
    finding.remedy = "give yourself the right, or name another file with --db or HONE_DB";
  } else if (!facts.database_open.ok()) {
    return FindingOf(Verdict::kFail, "database", facts.database_open);
  } else if (!facts.database_network.empty()) {
    finding.verdict = Verdict::kFail;
    finding.what = absl::StrCat(facts.database_path, " lies on a network file system (",
                                facts.database_network, "), where databases are damaged");
    finding.remedy = "name a file on a disk of this machine with --db";
  } else if (facts.database_read_only) {
    finding.verdict = Verdict::kFail;
    finding.what = absl::StrCat(facts.database_path, " lies on a disk that is mounted read-only");
    finding.remedy =
        "mount it for writing (dmesg says if the disk failed), or name another with --db";
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

Finding Cores(const MachineFacts& facts) {
  if (facts.cores >= 2) return {Verdict::kOk, "cores", absl::StrCat(facts.cores), ""};
  return {Verdict::kWarn, "cores", "1: the agent and what it measures share it",
          "times will scatter; give the machine, or the container, a second core"};
}

Finding Descriptors(const MachineFacts& facts) {
  constexpr int64_t kEnough = 1024;
  const std::string what = absl::StrCat(facts.descriptors_max, " open files allowed");
  if (facts.descriptors_max >= kEnough) return {Verdict::kOk, "open files", what, ""};
  return {Verdict::kWarn, "open files", what,
          "each agent and client of a tracker takes one: ulimit -n 65536, or LimitNOFILE= of its "
          "systemd unit"};
}

Finding Programs(const MachineFacts& facts) {
  std::vector<std::string> missing;
  std::string folder;
  for (const auto& [program, path] : facts.programs) {
    if (path.empty()) missing.push_back(program);
    if (!path.empty()) folder = path.substr(0, path.rfind('/'));
  }
  if (missing.empty()) return {Verdict::kOk, "programs", absl::StrCat("all in ", folder), ""};
  return {Verdict::kFail, "programs",
          absl::StrCat(absl::StrJoin(missing, ", "), " not found beside hone nor on the PATH"),
          "hone starts it: make build, or install it beside hone"};
}

Finding Worker(const MachineFacts& facts) {
  switch (facts.worker) {
    case WorkerKind::kStatic:
      return {Verdict::kOk, "worker", "hone-worker needs no library", ""};
    case WorkerKind::kMissing:
      return {Verdict::kFail, "worker", "hone-worker is missing: nothing can be measured here",
              "install it beside hone-agent, or name it with hone-agent --worker"};
    case WorkerKind::kDynamic:
      return {Verdict::kWarn, "worker",
              "hone-worker wants shared libraries, which its sandbox does not show it",
              "install the one that make build makes: it is linked statically"};
    case WorkerKind::kNoProgram:
      return {Verdict::kFail, "worker", "hone-worker is no program of this machine",
              "install the one built for this processor"};
  }
  return {};
}

Finding Spool(const MachineFacts& facts) {
  if (facts.spool_path.empty()) {
    return {Verdict::kOk, "spool", "none asked for: reports are kept in memory", ""};
  }
  if (facts.spool_problem.empty()) return {Verdict::kOk, "spool", facts.spool_path, ""};
  return {Verdict::kFail, "spool",
          absl::StrCat(facts.spool_path, " cannot be written: ", facts.spool_problem),
          "give the agent's user the right to it, or name another folder with --spool"};
}

Finding SandboxLevel(const MachineFacts& facts) {
  if (facts.sandbox_level.empty()) return {Verdict::kOk, "sandbox level", "not known here", ""};
  const std::string limit =
      facts.sandbox_limit.empty() ? "" : absl::StrCat(" (", facts.sandbox_limit, ")");
  // "L0" to "L3": they compare as text.
  if (facts.sandbox_asked.empty() || facts.sandbox_level >= facts.sandbox_asked) {
    return {Verdict::kOk, "sandbox level", absl::StrCat(facts.sandbox_level, limit), ""};
  }
  return {Verdict::kFail, "sandbox level",
          absl::StrCat(facts.sandbox_level, ", lower than ", facts.sandbox_asked,
                       " as asked for: the agent will not start", limit),
          "give the machine what is missing (hone-agent --probe names the walls that stand), or "
          "ask for less with --sandbox"};
}

// --- The way to the tracker

Finding Ok(const char* subject, std::string what) {
  return {Verdict::kOk, subject, std::move(what), ""};
}

Finding Tracker(const LinkFacts& link) {
  const std::string& where = link.tracker;
  const auto fail = [&](absl::string_view what, absl::string_view remedy) {
    return Finding{Verdict::kFail, "tracker", absl::StrCat(where, " ", what), std::string(remedy)};
  };
  if (where.empty()) return Ok("tracker", "none asked for: hone tune starts its own");
  const std::string& detail = link.knock.detail;
  switch (link.knock.reach) {
    case Reach::kBadAddress:
      return fail(absl::StrCat("is no address: ", detail), "write host:7710, or unix:/path");
    case Reach::kNoSuchHost:
      return fail(absl::StrCat("has a host that nobody knows: ", detail),
                  "check the name, and this machine's DNS: getent hosts NAME");
    case Reach::kNoSocket:
      return fail("is not there: no such socket",
                  "start hone-tracker --listen with this path, or check the path");
    case Reach::kForbidden:
      return fail("is not for you: permission denied",
                  "give your user the right to the socket and to its folders, or use its group");
    case Reach::kRefused:
      return fail("is reached, and nobody listens on that port",
                  "start hone-tracker there, or check the port (hone-tracker prints its own)");
    case Reach::kNoAnswer:
      return fail(absl::StrCat("does not answer: ", detail),
                  "is the host up? does a firewall drop the port? A tunnel helps: ssh -L "
                  "7710:127.0.0.1:7710 HOST");
    case Reach::kReached:
      break;
  }
  if (link.knock.speaks == Speaks::kHttp1) {
    return fail("is a web server, no tracker",
                "that may be its page (--web); give the port of hone-tracker --listen");
  }
  if (link.call.ok()) return Ok("tracker", absl::StrCat(where, " answers"));
  if (absl::IsUnimplemented(link.call)) {
    return fail("is a tracker of an older version: it cannot say how its farm is",
                "install the same version of hone on both sides");
  }
  if (absl::IsPermissionDenied(link.call) || absl::IsUnauthenticated(link.call)) {
    return fail(absl::StrCat("does not let you: ", link.call.message()),
                "your certificate is of another role; ask the farm's owner for one of yours");
  }
  // What was wrong before anybody was asked.
  if (absl::IsInvalidArgument(link.call)) return FindingOf(Verdict::kFail, "tracker", link.call);
  if (link.knock.speaks == Speaks::kTls && !link.offers_tls) {
    return fail("wants TLS, and plain text was offered",
                "name the folder of your certificates with --tls-dir, or get some: hone join");
  }
  if (link.knock.speaks == Speaks::kHttp2 && link.offers_tls) {
    return fail("speaks plain text, and TLS was offered",
                "leave your certificates out, or start the tracker with its own");
  }
  if (link.knock.speaks == Speaks::kTls) {
    return fail(absl::StrCat("does not trust you, or you do not trust it: ", link.call.message()),
                "are both certificates of the same authority, and is neither expired?");
  }
  if (link.knock.speaks == Speaks::kHttp2) {
    return fail(absl::StrCat("answers with an error: ", link.call.message()),
                "look at the log of hone-tracker");
  }
  return fail("takes connections and speaks no gRPC: it is something else, or it hangs",
              "check the port; if it is the tracker, its log says more");
}

Finding Certificates(const LinkFacts& link) {
  if (!link.certificates.ok()) return FindingOf(Verdict::kFail, "certificates", link.certificates);
  return Ok("certificates", link.offers_tls ? "yours are in order" : "none: plain text");
}

bool Knows(const LinkFacts& link) {
  return !link.tracker.empty() && link.call.ok() && link.knock.reach == Reach::kReached &&
         link.knock.speaks != Speaks::kHttp1;
}

Finding TrackerVersion(const LinkFacts& link) {
  if (!Knows(link)) return Ok("version", link.version);
  const std::string& theirs = link.farm.tracker().version();
  if (theirs == link.version) return Ok("version", absl::StrCat(theirs, " on both sides"));
  return {Verdict::kWarn, "version",
          absl::StrCat("the tracker is hone ", theirs, ", this is ", link.version),
          "install the same version on both sides"};
}

Finding TrackerHealth(const LinkFacts& link) {
  if (!Knows(link)) return Ok("health", "not known");
  if (link.farm.tracker().serving()) return Ok("health", "the tracker is serving");
  return {Verdict::kFail, "health",
          absl::StrCat("the tracker takes no work: ", link.farm.tracker().trouble()),
          "most often the disk of its database is full: hone doctor tracker on its host"};
}

Finding ClockSkew(const LinkFacts& link) {
  constexpr int64_t kSkewMaxMs = 60'000;
  if (!Knows(link)) return Ok("clock", "not compared");
  const int64_t ahead_ms = link.clock_ahead_ms;
  if (ahead_ms <= kSkewMaxMs && ahead_ms >= -kSkewMaxMs) return Ok("clock", "agrees");
  return {Verdict::kWarn, "clock",
          absl::StrFormat("the tracker's is %d s %s", (ahead_ms < 0 ? -ahead_ms : ahead_ms) / 1000,
                          ahead_ms > 0 ? "ahead" : "behind"),
          "certificates and reservations go by clocks: timedatectl set-ntp true on both hosts"};
}

Finding AgentNames(const LinkFacts& link) {
  const auto& names = link.farm.tracker().name_conflicts();
  if (!Knows(link) || names.empty()) return Ok("agent names", "each once");
  return {Verdict::kWarn, "agent names",
          absl::StrCat("two agents have one name: ", absl::StrJoin(names, ", ")),
          "the younger one wins and the other stops: give one another name, hone-agent --name"};
}

Finding Devices(const LinkFacts& link) {
  if (!Knows(link)) return Ok("devices", "not known");
  const int count = link.farm.devices_size();
  if (count > 0) return Ok("devices", absl::StrCat(count, count == 1 ? " device" : " devices"));
  return {Verdict::kWarn, "devices", "0 devices: no agent has registered",
          "start hone-agent on a device and point it at this tracker"};
}

// One finding for each device that takes no work, up to a handful.
std::vector<Finding> DevicesInTrouble(const LinkFacts& link) {
  constexpr size_t kShownMax = 8;
  std::vector<Finding> findings;
  if (!Knows(link)) return findings;
  for (const pb::DeviceEntry& entry : link.farm.devices()) {
    const pb::DeviceInfo& info = entry.info();
    const auto version = info.facts().find("agent_version");
    if (version != info.facts().end() && version->second != link.farm.tracker().version()) {
      findings.push_back({Verdict::kWarn, info.name(),
                          absl::StrCat("its agent is hone ", version->second, ", the tracker ",
                                       link.farm.tracker().version()),
                          "install the same version there"});
    }
    if (info.state() == pb::READY || info.state() == pb::BUSY) continue;
    findings.push_back(
        {Verdict::kWarn, info.name(),
         absl::StrCat(absl::AsciiStrToLower(pb::DeviceState_Name(info.state())), ": ", entry.why()),
         entry.next_step()});
    if (findings.size() >= kShownMax) break;
  }
  return findings;
}

// --- The table

constexpr unsigned kClient = static_cast<unsigned>(Patient::kClient);
constexpr unsigned kAgent = static_cast<unsigned>(Patient::kAgent);
constexpr unsigned kTracker = static_cast<unsigned>(Patient::kTracker);

struct Check {
  unsigned patients;
  Finding (*machine)(const MachineFacts&);  // one of the three is not null
  Finding (*link)(const LinkFacts&) = nullptr;
  std::vector<Finding> (*many)(const LinkFacts&) = nullptr;
};

// In the order of the report: the machine, its programs and files, the way to the tracker, the
// farm behind it.
constexpr Check kChecks[] = {
    {kClient | kAgent, Cpu},
    {kClient | kAgent, Speed},
    {kClient | kAgent, Cores},
    {kClient | kAgent, Load},
    {kClient | kAgent, Governor},
    {kClient | kAgent, HugePages},
    {kClient | kAgent | kTracker, Memory},
    {kTracker | kAgent, Descriptors},
    {kClient | kTracker, Database},
    {kClient | kAgent, SharedMemory},
    {kClient | kAgent, Sandbox},
    {kAgent, SandboxLevel},
    {kAgent, Spool},
    {kClient | kAgent | kTracker, Programs},
    {kClient | kAgent, Worker},
    {kClient | kAgent | kTracker, nullptr, Tracker},
    {kClient | kAgent | kTracker, nullptr, Certificates},
    {kClient | kAgent | kTracker, nullptr, TrackerVersion},
    {kClient | kAgent | kTracker, nullptr, TrackerHealth},
    {kClient | kAgent | kTracker, nullptr, ClockSkew},
    {kClient | kTracker, nullptr, AgentNames},
    {kClient | kTracker, nullptr, Devices},
    {kClient | kAgent | kTracker, nullptr, nullptr, DevicesInTrouble},
};

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

std::vector<Finding> Diagnose(const DoctorFacts& facts, Patient patient) {
  std::vector<Finding> findings;
  for (const Check& check : kChecks) {
    if ((check.patients & static_cast<unsigned>(patient)) == 0) continue;
    if (check.machine != nullptr) findings.push_back(check.machine(facts.machine));
    if (check.link != nullptr) findings.push_back(check.link(facts.link));
    if (check.many == nullptr) continue;
    for (Finding& finding : check.many(facts.link)) findings.push_back(std::move(finding));
  }
  return findings;
}

std::string RenderFindings(const std::vector<Finding>& findings, Patient patient) {
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
    const char* next = patient == Patient::kAgent     ? "hone-agent --tracker ADDRESS"
                       : patient == Patient::kTracker ? "hone devices"
                                                      : "hone tune MODEL.onnx";
    absl::StrAppend(&text, "\nThis machine lacks nothing. Next: ", next, "\n");
  }
  return text;
}

}  // namespace hone

#include "cli/machine_facts.h"

#include <elf.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "db/open_records.h"
#include "db/postgres_session.h"
#include "db/sqlite_record_store.h"
#include "rpc/child_process.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

// The programs that hone starts as children, or that stand beside it.
constexpr const char* kAgent = "hone-agent";
constexpr const char* kPrograms[] = {"hone-tracker", kAgent, "hone-worker", "hone-build-worker"};

std::string ReadFile(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string FirstLine(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

void ReadCpu(MachineFacts* facts) {
  for (absl::string_view line : absl::StrSplit(ReadFile("/proc/cpuinfo"), '\n')) {
    std::pair<absl::string_view, absl::string_view> field =
        absl::StrSplit(line, absl::MaxSplits(':', 1));
    absl::string_view key = absl::StripAsciiWhitespace(field.first);
    absl::string_view value = absl::StripAsciiWhitespace(field.second);
    if (key == "model name" && facts->cpu_model.empty()) facts->cpu_model = std::string(value);
    if ((key == "flags" || key == "Features") && facts->cpu_flags.empty()) {
      facts->cpu_flags = absl::StrSplit(value, ' ');
    }
  }
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) facts->cores = CPU_COUNT(&allowed);
  utsname name{};
  if (uname(&name) == 0) facts->arch = name.machine;
}

int64_t MemoryAvailable() {
  for (absl::string_view line : absl::StrSplit(ReadFile("/proc/meminfo"), '\n')) {
    if (!absl::ConsumePrefix(&line, "MemAvailable:")) continue;
    absl::ConsumeSuffix(&line, "kB");
    int64_t kib = 0;
    if (absl::SimpleAtoi(absl::StripAsciiWhitespace(line), &kib)) return kib * 1024;
  }
  return 0;
}

int64_t FreeBytes(const std::string& path) {
  struct statvfs info{};
  if (statvfs(path.c_str(), &info) != 0) return 0;
  return static_cast<int64_t>(info.f_bavail) * static_cast<int64_t>(info.f_frsize);
}

// The nearest folder on the way to `path` that exists: the others can be made in it.
fs::path NearestFolder(const fs::path& path) {
  std::error_code ignored;
  fs::path folder = fs::absolute(path, ignored).parent_path();
  while (!folder.empty() && !fs::exists(folder, ignored) && folder != folder.parent_path()) {
    folder = folder.parent_path();
  }
  return folder;
}

// "nfs" for what is kept on another machine.
std::string NetworkOf(const std::string& path) {
  constexpr struct {
    uint32_t magic;
    const char* name;
  } kNetworks[] = {{NFS_SUPER_MAGIC, "nfs"},  {SMB_SUPER_MAGIC, "smb"}, {CIFS_SUPER_MAGIC, "cifs"},
                   {SMB2_SUPER_MAGIC, "smb"}, {V9FS_MAGIC, "9p"},       {AFS_SUPER_MAGIC, "afs"},
                   {CEPH_SUPER_MAGIC, "ceph"}};
  struct statfs info{};
  if (statfs(path.c_str(), &info) != 0) return "";
  for (const auto& network : kNetworks) {
    if (static_cast<uint32_t>(info.f_type) == network.magic) return network.name;
  }
  return "";
}

bool IsReadOnly(const std::string& path) {
  struct statvfs info{};
  return statvfs(path.c_str(), &info) == 0 && (info.f_flag & ST_RDONLY) != 0;
}

// On a server: what is there of a disk is the server's.
void ReadServer(MachineFacts* facts) {
  facts->database_is_server = true;
  facts->database_open = OpenRecords(facts->database_path).status();
  // A tracker makes its tables, and brings them up to date.
  const absl::string_view why = facts->database_open.message();
  if (absl::StrContains(why, "nothing of hone's yet") || absl::StrContains(why, "older hone")) {
    facts->database_open = absl::OkStatus();
  }
  facts->database_path = ShownPostgresUrl(facts->database_path);
}

// An older database is brought up to date by whoever writes it, and one that is not there is made.
Status OpenDatabase(const std::string& path) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return absl::OkStatus();
  const Status status = SqliteRecordStore::Open({.path = path}).status();
  return absl::StrContains(status.message(), "older hone") ? absl::OkStatus() : status;
}

void ReadDatabase(MachineFacts* facts) {
  if (IsPostgresUrl(facts->database_path)) return ReadServer(facts);
  const fs::path folder = NearestFolder(facts->database_path);
  facts->database_network = NetworkOf(folder.string());
  facts->database_read_only = IsReadOnly(folder.string());
  facts->database_open = OpenDatabase(facts->database_path);
  facts->database_free_bytes = FreeBytes(folder.string());
  std::error_code ignored;
  if (fs::exists(facts->database_path, ignored) &&
      access(facts->database_path.c_str(), R_OK | W_OK) != 0) {
    facts->database_problem = std::strerror(errno);
  } else if (access(folder.c_str(), W_OK | X_OK) != 0) {
    facts->database_problem = absl::StrCat(folder.string(), ": ", std::strerror(errno));
  }
}

// Beside hone itself first, then on the path.
std::string FindProgram(const std::string& program, const std::string& program_dir) {
  std::vector<std::string> folders = {program_dir};
  if (const char* path = std::getenv("PATH")) {
    for (absl::string_view folder : absl::StrSplit(path, ':', absl::SkipEmpty())) {
      folders.emplace_back(folder);
    }
  }
  for (const std::string& folder : folders) {
    std::string candidate = absl::StrCat(folder, "/", program);
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return "";
}

// What it says with --probe: the agent is who measures. "" when it cannot be asked.
std::string AskAgent(const std::string& program) {
  constexpr int kPatienceMs = 10000;
  const int output = memfd_create("hone-agent", MFD_CLOEXEC);
  if (program.empty() || output < 0) return "";
  auto agent = ChildProcess::Start(
      {.program = program, .arguments = {"--probe"}, .socket = false, .output_fd = output});
  std::string text;
  if (agent.ok() && agent->WaitFor(kPatienceMs) == ProcessEnd{}) {
    text = ReadFile(absl::StrCat("/proc/self/fd/", output));
  }
  close(output);
  return text;
}

}  // namespace

pb::CoreSpeed SpeedFromProbe(absl::string_view text) {
  pb::CoreSpeed speed;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    double value = 0;
    if (words.size() != 2 || !absl::SimpleAtod(words[1], &value)) continue;
    if (words[0] == "peak_gflops") speed.set_peak_gflops(value);
    if (words[0] == "l1_gbps") speed.set_l1_gbps(value);
    if (words[0] == "l2_gbps") speed.set_l2_gbps(value);
    if (words[0] == "l3_gbps") speed.set_l3_gbps(value);
    if (words[0] == "memory_gbps") speed.set_memory_gbps(value);
  }
  return speed;
}

std::string FactFromProbe(absl::string_view text, absl::string_view name) {
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (absl::ConsumePrefix(&line, name) && absl::ConsumePrefix(&line, " ")) {
      return std::string(line);
    }
  }
  return "";
}

std::string ChosenWord(absl::string_view choices) {
  size_t begin = choices.find('[');
  size_t end = choices.find(']');
  if (begin == absl::string_view::npos || end == absl::string_view::npos || end < begin) return "";
  return std::string(choices.substr(begin + 1, end - begin - 1));
}

WorkerKind KindOfWorker(const std::string& path) {
  if (path.empty()) return WorkerKind::kMissing;
  const std::string bytes = ReadFile(path);
  Elf64_Ehdr header = {};
  if (bytes.size() < sizeof(header) || std::memcmp(bytes.data(), ELFMAG, SELFMAG) != 0) {
    return WorkerKind::kNoProgram;
  }
  std::memcpy(&header, bytes.data(), sizeof(header));
  for (int i = 0; i < header.e_phnum; ++i) {
    const size_t place = header.e_phoff + static_cast<size_t>(i) * sizeof(Elf64_Phdr);
    if (place + sizeof(Elf64_Phdr) > bytes.size()) return WorkerKind::kNoProgram;
    Elf64_Phdr segment = {};
    std::memcpy(&segment, bytes.data() + place, sizeof(segment));
    if (segment.p_type == PT_INTERP) return WorkerKind::kDynamic;
  }
  return WorkerKind::kStatic;
}

MachineFacts ReadMachineFacts(const MachineQuestions& questions) {
  MachineFacts facts;
  ReadCpu(&facts);
  std::istringstream(FirstLine("/proc/loadavg")) >> facts.load;
  facts.governor = FirstLine("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  facts.huge_pages = ChosenWord(FirstLine("/sys/kernel/mm/transparent_hugepage/enabled"));
  facts.memory_available_bytes = MemoryAvailable();
  facts.database_path = questions.database_path;
  ReadDatabase(&facts);
  facts.shm_writable = access("/dev/shm", W_OK | X_OK) == 0;
  facts.shm_free_bytes = FreeBytes("/dev/shm");
  int namespaces = 0;
  if (absl::SimpleAtoi(FirstLine("/proc/sys/user/max_user_namespaces"), &namespaces)) {
    facts.user_namespaces_max = namespaces;
  }
  for (const char* program : kPrograms) {
    facts.programs[program] = FindProgram(program, questions.program_dir);
  }
  facts.worker = KindOfWorker(facts.programs["hone-worker"]);
  rlimit files = {};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    facts.descriptors_max = static_cast<int64_t>(std::min<rlim_t>(files.rlim_max, INT32_MAX));
  }
  facts.spool_path = questions.spool_path;
  if (!facts.spool_path.empty()) {
    const fs::path folder = NearestFolder(facts.spool_path + "/report");
    if (access(folder.c_str(), W_OK | X_OK) != 0) facts.spool_problem = std::strerror(errno);
  }
  facts.sandbox_asked = questions.sandbox_asked;
  const std::string probe = AskAgent(facts.programs[kAgent]);
  facts.speed = SpeedFromProbe(probe);
  if (const std::string level = FactFromProbe(probe, "sandbox"); !level.empty()) {
    facts.sandbox_level = absl::StrCat("L", level);
  }
  facts.sandbox_limit = FactFromProbe(probe, "sandbox_limit");
  return facts;
}

}  // namespace hone

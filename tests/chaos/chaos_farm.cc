#include "tests/chaos/chaos_farm.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/chaos/store_history.h"
#include "tests/support/local_programs.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

constexpr absl::Duration kPatience = absl::Seconds(20);
constexpr absl::Duration kPoll = absl::Milliseconds(5);
constexpr int64_t kValidMs = int64_t{7} * 24 * 3'600'000;  // more than the longest soak

}  // namespace

int NumberOf(const std::string& name) {
  int number = 0;
  return absl::SimpleAtoi(name.substr(name.find_first_of("0123456789")), &number) ? number : 0;
}

StatusOr<std::unique_ptr<ChaosFarm>> ChaosFarm::Make(const ChaosFarmOptions& options) {
  std::unique_ptr<ChaosFarm> farm(new ChaosFarm(options));
  HONE_RETURN_IF_ERROR(farm->Build());
  return farm;
}

Status ChaosFarm::Build() {
  AdoptOrphans();
  const auto keep = [this](auto made, auto& kept) {
    if (made.ok()) {
      kept = *std::move(made);
    } else {
      skipped_.push_back(std::string(made.status().message()));
    }
  };
  const Status user = absl::FailedPreconditionError("told to do without what only root has");
  const std::string store = scratch_ / "store";
  fs::create_directories(store);
  keep(options_.as_user ? user : HostNetwork::Make(options_.agents), network_);
  keep(options_.as_user ? user : SmallDisk::Mount(store, options_.disk_bytes), disk_);
  // What leaves the machine, as far as an address says, takes certificates.
  if (network_ != nullptr) authority_ = std::make_unique<TestAuthority>("chaos");
  port_ = FreePort();
  database_ = store + "/farm.db";
  // The first life makes the database, and the history's triggers come into it.
  HONE_RETURN_IF_ERROR(Start("tracker"));
  if (!AwaitTracker(kPatience)) {
    return absl::UnavailableError(
        absl::StrCat("the tracker does not start; see ", LogOf("tracker")));
  }
  Signal("tracker", SIGTERM);
  programs_.at("tracker").Wait();
  return NoteHistoryIn(database_);
}

ChaosFarm::~ChaosFarm() {
  for (auto& [name, program] : programs_) program.Signal(SIGCONT);
  programs_.clear();
  Survivors();
}

std::string ChaosFarm::TlsOf(const std::string& identity) {
  if (authority_ == nullptr) return "";
  std::string& folder = members_[identity];
  if (folder.empty()) folder = authority_->Member(scratch_, identity, kValidMs);
  return folder;
}

FarmClientOptions ChaosFarm::ClientOf(const std::string& identity) {
  return {.tracker = absl::StrCat("127.0.0.1:", port_),
          .tls_dir = TlsOf(identity),
          .connect_timeout = kPatience};
}

std::vector<std::string> ChaosFarm::CommandLine(const std::string& name) {
  std::vector<std::string> line;
  if (name == "tracker") {
    line = {ProgramPath("hone-tracker"), "--listen",
            absl::StrCat(network_ != nullptr ? "0.0.0.0:" : "127.0.0.1:", port_), "--db",
            database_};
    if (authority_ != nullptr) {
      line.insert(line.end(), {"--tls-dir", TlsOf("tracker/chaos")});
    }
  } else if (absl::StartsWith(name, "agent")) {
    const auto moved = hosts_.find(name);
    const int number = moved == hosts_.end() ? NumberOf(name) : moved->second;
    std::string tracker = absl::StrCat("127.0.0.1:", port_);
    if (network_ != nullptr) {
      line = network_->Prefix(number);
      tracker = absl::StrCat(network_->OurAddress(number), ":", port_);
    }
    line.insert(line.end(),
                {ProgramPath("hone-agent"), "--tracker", tracker, "--name", name, "--label", "real",
                 "--spool", SpoolOf(name), "--cache", OwnOf(name) + "-cache"});
    if (authority_ != nullptr) {
      line.insert(line.end(), {"--tls-dir", TlsOf("agent/" + name)});
    }
  } else {
    line = {ProgramPath("hone-tunerd"), "--tracker", absl::StrCat("127.0.0.1:", port_), "--name",
            name};
    if (authority_ != nullptr) {
      line.insert(line.end(), {"--tls-dir", TlsOf("daemon/" + name)});
    }
  }
  line.insert(line.end(), {"--parent-pid", absl::StrCat(getpid()), "--log", "json"});
  return line;
}

Status ChaosFarm::Start(const std::string& name) {
  const std::vector<std::string> line = CommandLine(name);
  FILE* output = std::fopen(LogOf(name).c_str(), "a");
  auto process = ChildProcess::Start({.program = line[0],
                                      .arguments = {line.begin() + 1, line.end()},
                                      .socket = false,
                                      .output_fd = fileno(output),
                                      .own_group = true});
  std::fclose(output);
  HONE_RETURN_IF_ERROR(process.status());
  programs_.insert_or_assign(name, *std::move(process));
  return absl::OkStatus();
}

bool ChaosFarm::Runs(const std::string& name) {
  const auto program = programs_.find(name);
  return program != programs_.end() && !program->second.Poll().has_value();
}

bool ChaosFarm::Kill(const std::string& name) {
  if (!Runs(name)) return false;
  programs_.at(name).Signal(SIGKILL);
  programs_.at(name).Wait();
  return true;
}

void ChaosFarm::Signal(const std::string& name, int signal) {
  if (Runs(name)) programs_.at(name).Signal(signal);
}

bool ChaosFarm::KillBelow(const std::string& name, const std::string& program,
                          std::mt19937& random) {
  if (!Runs(name)) return false;
  std::vector<ProcessEntry> below = DescendantsOf(PidOf(name));
  std::erase_if(below, [&](const ProcessEntry& process) {
    return process.zombie || !absl::StartsWith(process.name, program);
  });
  if (below.empty()) return false;
  return kill(below[random() % below.size()].pid, SIGKILL) == 0;
}

pid_t ChaosFarm::PidOf(const std::string& name) const {
  const auto program = programs_.find(name);
  return program == programs_.end() ? 0 : program->second.pid();
}

std::string ChaosFarm::LogOf(const std::string& name) const {
  if (options_.logs.empty()) return scratch_ / absl::StrCat(name, ".log");
  return absl::StrCat(options_.logs, "/", name, ".log");
}

std::string ChaosFarm::OwnOf(const std::string& agent) const {
  return scratch_ / absl::StrCat(agent, hosts_.contains(agent) ? "-moved" : "");
}

std::string ChaosFarm::SpoolOf(const std::string& agent) const { return OwnOf(agent) + "-spool"; }

std::optional<absl::Duration> ChaosFarm::AwaitTracker(absl::Duration patience) {
  const absl::Time began = absl::Now();
  while (absl::Now() < began + patience) {
    if (!Runs("tracker")) return std::nullopt;
    // gRPC waits for a while after it was refused, so it is not asked before.
    if (SomebodyListens(port_) && FarmClient::Connect(ClientOf("admin/prober")).ok()) {
      return absl::Now() - began;
    }
    absl::SleepFor(kPoll);
  }
  return std::nullopt;
}

StatusOr<std::string> ChaosFarm::AwaitTarget(absl::Duration patience) {
  const absl::Time deadline = absl::Now() + patience;
  HONE_ASSIGN_OR_RETURN(const auto client, FarmClient::Connect(ClientOf("admin/prober")));
  while (absl::Now() < deadline) {
    const auto farm = client->ListDevices();
    int there = 0;
    std::string target;
    for (const pb::DeviceInfo& device : farm.ok() ? farm->devices : FarmStatus().devices) {
      if (!absl::StartsWith(device.name(), "agent")) continue;
      ++there;
      target = device.target();
    }
    if (there == options_.agents) return target;
    absl::SleepFor(kPoll);
  }
  return absl::UnavailableError("not all agents register; their logs say why");
}

int64_t ChaosFarm::DatabaseBytes() const {
  int64_t bytes = 0;
  for (const char* suffix : {"", "-wal", "-shm"}) {
    std::error_code error;
    const auto size = fs::file_size(database_ + suffix, error);
    if (!error) bytes += static_cast<int64_t>(size);
  }
  return bytes;
}

std::vector<std::string> ChaosFarm::Stop() {
  std::vector<std::string> complaints;
  const auto end = [&](const std::string& prefix) {
    for (auto& [name, program] : programs_) {
      if (absl::StartsWith(name, prefix)) program.Signal(SIGTERM);
    }
    for (auto& [name, program] : programs_) {
      if (!absl::StartsWith(name, prefix)) continue;
      const auto how = program.WaitFor(static_cast<int>(absl::ToInt64Milliseconds(kPatience)));
      if (!how.has_value()) {
        complaints.push_back(absl::StrCat(name, " does not end on SIGTERM"));
        program.Signal(SIGKILL);
        program.Wait();
      } else if (*how != ProcessEnd{}) {
        complaints.push_back(absl::StrCat(name, " ", how->ToString()));
      }
    }
  };
  end("daemon");
  end("agent");
  end("tracker");
  return complaints;
}

void ChaosFarm::ReapOrphans() {
  std::set<pid_t> own;
  for (const auto& [name, program] : programs_) own.insert(program.pid());
  for (const ProcessEntry& process : AllProcesses()) {
    if (process.parent == getpid() && process.zombie && !own.contains(process.pid)) {
      waitpid(process.pid, nullptr, WNOHANG);
    }
  }
}

std::vector<std::string> ChaosFarm::Survivors() {
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  while (true) {
    ReapOrphans();
    std::vector<std::string> survivors;
    for (const ProcessEntry& process : DescendantsOf(getpid())) {
      if (!process.zombie) survivors.push_back(absl::StrCat(process.name, " ", process.pid));
    }
    if (survivors.empty() || absl::Now() > deadline) return survivors;
    absl::SleepFor(absl::Milliseconds(20));
  }
}

}  // namespace hone

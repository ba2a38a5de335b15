#include "tuner/measure/local_farm.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "rpc/child_process.h"
#include "rpc/farm_client.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

constexpr absl::Duration kPollInterval = absl::Milliseconds(10);
constexpr int kStopTimeoutMs = 3000;
constexpr absl::string_view kReadyLine = "hone-tracker ready";
constexpr int kExitBadDatabase = 3;  // of hone-tracker

// A child whose output goes to a file, for its last words.
struct Program {
  std::string name;
  std::string log;
  ChildProcess process;

  std::string Output() const {
    std::stringstream text;
    text << std::ifstream(log).rdbuf();
    return text.str();
  }
  // The last line it printed, without its name.
  std::string LastWords() const {
    std::string last;
    for (absl::string_view line : absl::StrSplit(Output(), '\n')) {
      line = absl::StripAsciiWhitespace(line);
      absl::ConsumePrefix(&line, absl::StrCat(name, ": "));
      if (!line.empty()) last = std::string(line);
    }
    return last;
  }
  Status Check() {
    const std::optional<ProcessEnd> end = process.Poll();
    if (!end) return absl::OkStatus();
    if (name == "hone-tracker" && end->exit_code == kExitBadDatabase) {
      return absl::FailedPreconditionError(LastWords());
    }
    return absl::UnavailableError(absl::StrCat(name, " ", end->ToString(), ": ", LastWords()));
  }
  void Stop() {
    process.Signal(SIGTERM);
    // What does not end by itself is killed by its destructor.
    process.WaitFor(kStopTimeoutMs);
  }
};

fs::path BinDir(const LocalFarmOptions& options) {
  if (!options.bin_dir.empty()) return options.bin_dir;
  if (const char* directory = std::getenv("HONE_BIN_DIR"); directory != nullptr) return directory;
  std::error_code error;
  return fs::read_symlink("/proc/self/exe", error).parent_path();
}

StatusOr<Program> StartProgram(const fs::path& bin_dir, const std::string& name,
                               const fs::path& log_dir, std::vector<std::string> arguments) {
  const std::string log = log_dir / absl::StrCat(name, ".log");
  const int output = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (output < 0) {
    return absl::UnavailableError(absl::StrCat("cannot write ", log, ": ", std::strerror(errno)));
  }
  arguments.push_back("--parent-pid");
  arguments.push_back(absl::StrCat(getpid()));
  auto process = ChildProcess::Start({.program = bin_dir / name,
                                      .arguments = std::move(arguments),
                                      .socket = false,
                                      .output_fd = output,
                                      .own_group = true});
  close(output);
  HONE_RETURN_IF_ERROR(process.status());
  return Program{name, log, *std::move(process)};
}

bool HasReadyDevice(const FarmStatus& status) {
  for (const pb::DeviceInfo& device : status.devices) {
    if (device.state() == pb::READY || device.state() == pb::BUSY) return true;
  }
  return false;
}

// Why no device is ready yet, as far as it is known.
std::string DeviceReasons(const FarmStatus& status) {
  std::string reasons;
  for (const pb::DeviceInfo& device : status.devices) {
    absl::StrAppend(&reasons, "; device ", device.name(), ": ", device.reason());
  }
  return reasons;
}

}  // namespace

class LocalFarm::Impl {
 public:
  ~Impl() {
    if (agent_) agent_->Stop();
    if (tracker_) tracker_->Stop();
    agent_.reset();
    tracker_.reset();
    std::error_code error;
    if (!directory_.empty()) fs::remove_all(directory_, error);
  }

  Status Start(const LocalFarmOptions& options) {
    const absl::Time deadline = absl::Now() + options.start_timeout;
    HONE_RETURN_IF_ERROR(MakeDirectory());
    address_ = absl::StrCat("unix:", (directory_ / "tracker").string());
    const std::string purpose =
        absl::StrCat("process ", getpid(), " (",
                     options.purpose.empty() ? "a farm of one machine" : options.purpose, ")");
    HONE_ASSIGN_OR_RETURN(tracker_,
                          StartProgram(BinDir(options), "hone-tracker", directory_,
                                       {"--listen", address_, "--db", options.database, "--blobs",
                                        (directory_ / "blobs").string(), "--purpose", purpose}));
    HONE_RETURN_IF_ERROR(AwaitTracker(deadline));
    std::vector<std::string> arguments = {"--tracker", address_};
    arguments.insert(arguments.end(), options.agent_args.begin(), options.agent_args.end());
    HONE_ASSIGN_OR_RETURN(
        agent_, StartProgram(BinDir(options), "hone-agent", directory_, std::move(arguments)));
    return AwaitDevice(deadline);
  }

  Status Check() {
    HONE_RETURN_IF_ERROR(tracker_->Check());
    return agent_->Check();
  }

  const std::string& address() const { return address_; }

 private:
  // Short, because the path of a unix socket must be.
  Status MakeDirectory() {
    std::error_code error;
    std::string pattern = fs::temp_directory_path(error) / "hone-XXXXXX";
    if (error || mkdtemp(pattern.data()) == nullptr) {
      return absl::UnavailableError(absl::StrCat("cannot make a directory like ", pattern, " (",
                                                 std::strerror(errno),
                                                 "); set TMPDIR to one that can be written to"));
    }
    directory_ = pattern;
    return absl::OkStatus();
  }

  Status AwaitTracker(absl::Time deadline) {
    while (!absl::StrContains(tracker_->Output(), kReadyLine)) {
      HONE_RETURN_IF_ERROR(tracker_->Check());
      if (absl::Now() > deadline) {
        return absl::UnavailableError("hone-tracker did not become ready in time");
      }
      absl::SleepFor(kPollInterval);
    }
    return absl::OkStatus();
  }

  Status AwaitDevice(absl::Time deadline) {
    HONE_ASSIGN_OR_RETURN(const auto client, FarmClient::Connect({.tracker = address_}));
    while (true) {
      HONE_ASSIGN_OR_RETURN(const FarmStatus status, client->ListDevices());
      if (HasReadyDevice(status)) return absl::OkStatus();
      HONE_RETURN_IF_ERROR(Check());
      if (absl::Now() > deadline) {
        return absl::UnavailableError(absl::StrCat("this machine did not become ready to measure",
                                                   DeviceReasons(status),
                                                   "; `hone doctor` may "
                                                   "know why"));
      }
      absl::SleepFor(kPollInterval);
    }
  }

  fs::path directory_;
  std::string address_;
  std::optional<Program> tracker_;
  std::optional<Program> agent_;
};

LocalFarm::LocalFarm(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LocalFarm::~LocalFarm() = default;

StatusOr<std::unique_ptr<LocalFarm>> LocalFarm::Start(const LocalFarmOptions& options) {
  auto impl = std::make_unique<Impl>();
  HONE_RETURN_IF_ERROR(impl->Start(options));
  return std::unique_ptr<LocalFarm>(new LocalFarm(std::move(impl)));
}

const std::string& LocalFarm::tracker() const { return impl_->address(); }

Status LocalFarm::Check() { return impl_->Check(); }

}  // namespace hone

#include "tests/support/slurm_cluster.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/file.h"

namespace hone {
namespace {

constexpr absl::Duration kStartMax = absl::Seconds(30);
constexpr absl::Duration kEndMax = absl::Seconds(15);

constexpr char kConfiguration[] = R"(
ClusterName=hone
SlurmctldHost=%1$s(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=%2$s/run/socket,cred_expire=5
SlurmctldPort=%3$d
SlurmdPort=%4$d
StateSaveLocation=%2$s/state
SlurmdSpoolDir=%2$s/spool
SlurmctldPidFile=%2$s/slurmctld.pid
SlurmdPidFile=%2$s/slurmd.pid
SlurmctldLogFile=%2$s/slurmctld.log
SlurmdLogFile=%2$s/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=1,batch_sched_delay=0,default_queue_depth=400
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=2
MinJobAge=600
MaxArraySize=1001
NodeName=%1$s NodeAddr=127.0.0.1 CPUs=16 State=UNKNOWN
PartitionName=all Nodes=%1$s Default=YES MaxTime=INFINITE State=UP
)";

std::string ShortHostName() {
  std::array<char, 256> name = {};
  if (gethostname(name.data(), name.size() - 1) != 0) return "";
  return std::vector<std::string>(absl::StrSplit(name.data(), '.')).front();
}

// A port that nobody has now.
int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  bind(fd, reinterpret_cast<sockaddr*>(&address), size);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  close(fd);
  return ntohs(address.sin_port);
}

}  // namespace

StatusOr<std::unique_ptr<SlurmCluster>> SlurmCluster::Start() {
  if (geteuid() != 0) return absl::FailedPreconditionError("a cluster in a test needs root");
  for (const char* program : {"/usr/sbin/slurmctld", "/usr/sbin/slurmd", "/usr/sbin/munged",
                              "/usr/bin/sbatch", "/usr/bin/setpriv"}) {
    if (access(program, X_OK) != 0) {
      return absl::FailedPreconditionError(absl::StrCat(
          "there is no ", program, ": apt-get install slurm-wlm munge (install-deps.sh --slurm)"));
    }
  }
  std::unique_ptr<SlurmCluster> cluster(new SlurmCluster(ShortHostName()));
  HONE_RETURN_IF_ERROR(cluster->WriteConfiguration());
  const std::string run = cluster->folder_ / "run";
  HONE_ASSIGN_OR_RETURN(
      cluster->munged_,
      cluster->Daemon("/usr/sbin/munged",
                      {"--foreground", "--num-threads=2", absl::StrCat("--socket=", run, "/socket"),
                       absl::StrCat("--key-file=", run, "/munge.key"),
                       absl::StrCat("--pid-file=", run, "/munged.pid"),
                       absl::StrCat("--seed-file=", run, "/munged.seed"),
                       absl::StrCat("--log-file=", run, "/munged.log")}));
  HONE_RETURN_IF_ERROR(cluster->StartDaemons());
  return cluster;
}

SlurmCluster::~SlurmCluster() {
  if (controller_ && node_daemon_) {
    Run("scancel --user=root");
    for (const absl::Time end = absl::Now() + kEndMax; absl::Now() < end;) {
      if (Run("squeue --noheader").empty()) break;
      absl::SleepFor(absl::Milliseconds(100));
    }
  }
  for (auto* daemon : {&node_daemon_, &controller_, &munged_}) {
    if (!*daemon) continue;
    (*daemon)->Signal(SIGTERM);
    (*daemon)->WaitFor(static_cast<int>(absl::ToInt64Milliseconds(kEndMax)));
  }
}

Status SlurmCluster::WriteConfiguration() const {
  for (const char* name : {"run", "state", "spool"}) {
    std::filesystem::create_directory(folder_ / name);
    std::filesystem::permissions(folder_ / name, std::filesystem::perms(0755));
  }
  std::string key(1024, '\0');
  FILE* random = fopen("/dev/urandom", "r");
  const size_t length = random == nullptr ? 0 : fread(key.data(), 1, key.size(), random);
  if (random != nullptr) fclose(random);
  if (length != key.size()) return absl::UnavailableError("/dev/urandom cannot be read");
  const std::string path = folder_ / "run/munge.key";
  HONE_RETURN_IF_ERROR(WriteFile(path, key));
  std::filesystem::permissions(path, std::filesystem::perms(0400));
  return WriteFile(folder_ / "slurm.conf",
                   absl::StrFormat(kConfiguration, node_, folder_ / "", FreePort(), FreePort()));
}

StatusOr<ChildProcess> SlurmCluster::Daemon(const std::string& program,
                                            const std::vector<std::string>& arguments) const {
  const int log =
      open((folder_ / "daemons.log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const auto close_log = absl::MakeCleanup([log] { close(log); });
  ChildProcess::Options options;
  options.program = "/usr/bin/setpriv";  // so that it ends with us, however we end
  options.arguments = {"--pdeathsig", "KILL", program};
  options.arguments.insert(options.arguments.end(), arguments.begin(), arguments.end());
  options.socket = false;
  options.output_fd = log;
  return ChildProcess::Start(options);
}

Status SlurmCluster::StartDaemons() {
  const std::string configuration = folder_ / "slurm.conf";
  for (const absl::Time end = absl::Now() + kStartMax;
       access((folder_ / "run/socket").c_str(), F_OK);) {
    if (absl::Now() > end) return absl::UnavailableError("munged does not start");
    absl::SleepFor(absl::Milliseconds(20));
  }
  HONE_ASSIGN_OR_RETURN(controller_, Daemon("/usr/sbin/slurmctld", {"-D", "-f", configuration}));
  HONE_ASSIGN_OR_RETURN(node_daemon_, Daemon("/usr/sbin/slurmd", {"-D", "-f", configuration}));
  for (const absl::Time end = absl::Now() + kStartMax; absl::Now() < end;) {
    const std::string state = Run("sinfo --noheader --format=%T");
    if (state == "idle" || state == "mixed" || state == "allocated") return absl::OkStatus();
    absl::SleepFor(absl::Milliseconds(50));
  }
  return absl::UnavailableError(
      absl::StrCat("the cluster does not come up; sinfo: ", Run("sinfo --long --Node"), "\n",
                   ReadFile(folder_ / "slurmctld.log").value_or("")));
}

void SlurmCluster::KillDaemons() {
  for (auto* daemon : {&node_daemon_, &controller_}) {
    (*daemon)->Signal(SIGKILL);
    (*daemon)->Wait();
    daemon->reset();
  }
}

std::string SlurmCluster::Run(const std::string& command) const {
  const std::string line =
      absl::StrCat("SLURM_CONF='", folder_ / "slurm.conf", "' timeout 30 sh -c '", command,
                   "' 2>>'", folder_ / "commands.log", "'");
  FILE* output = popen(line.c_str(), "r");
  if (output == nullptr) return "";
  std::string text;
  std::array<char, 4096> buffer = {};
  while (const size_t n = fread(buffer.data(), 1, buffer.size(), output)) {
    text.append(buffer.data(), n);
  }
  if (pclose(output) != 0) return "";
  return std::string(absl::StripAsciiWhitespace(text));
}

}  // namespace hone

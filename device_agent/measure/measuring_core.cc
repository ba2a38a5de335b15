// A claim is a bound socket in the abstract namespace: it exists once on a machine, needs no file
// that someone could own or leave behind, and ends with the process.
#include "device_agent/measure/measuring_core.h"

#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/cpus.h"

namespace hone {
namespace {

int64_t ReadNumber(const std::string& path) {
  int64_t value = 0;
  std::ifstream(path) >> value;
  return value;
}

// `thread` is 0 for the calling one.
void MoveThread(pid_t thread, const std::vector<int>& cpus) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int cpu : cpus) CPU_SET(static_cast<size_t>(cpu), &set);
  sched_setaffinity(thread, sizeof(set), &set);  // measuring where the system likes is no failure
}

// The claim's socket, or -1 when it is another's.
int TryClaim(const std::string& name) {
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const size_t length = std::min(name.size(), sizeof(address.sun_path) - 1);
  memcpy(address.sun_path + 1, name.data(), length);  // a leading zero: abstract
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + length);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), size) == 0) return fd;
  close(fd);
  return -1;
}

}  // namespace

std::vector<int> OrderCores(const std::string& root, std::vector<int> cpus) {
  std::vector<std::tuple<int64_t, int64_t, int>> ranked;
  for (int cpu : cpus) {
    const std::string folder = absl::StrCat(root, "/sys/devices/system/cpu/cpu", cpu);
    ranked.emplace_back(ReadNumber(folder + "/cpu_capacity"),
                        ReadNumber(folder + "/cpufreq/cpuinfo_max_freq"), cpu);
  }
  std::sort(ranked.rbegin(), ranked.rend());
  std::transform(ranked.begin(), ranked.end(), cpus.begin(),
                 [](const auto& core) { return std::get<2>(core); });
  return cpus;
}

void SpreadThreads() {
  std::vector<pid_t> threads;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task", error))
    threads.push_back(static_cast<pid_t>(atoi(entry.path().filename().c_str())));
  const std::vector<int> cpus = OrderCores("", AllowedCpus());
  if (threads.size() > cpus.size()) return;
  for (size_t i = 0; i < threads.size(); ++i) MoveThread(threads[i], {cpus[i]});
}

MeasuringCore MeasuringCore::Claim(const std::string& machine, const std::vector<int>& cpus) {
  MeasuringCore core;
  core.cpus_ = cpus;
  for (int cpu : cpus) {
    core.claim_ = TryClaim(absl::StrCat(machine, ".measuring-core.", cpu));
    if (core.claim_ < 0) continue;
    core.cpu_ = cpu;
    break;
  }
  return core;
}

MeasuringCore MeasuringCore::ClaimForThisProcess() {
  std::vector<int> cpus = AllowedCpus();
  if (cpus.size() < 2) return MeasuringCore();
  return Claim("hone", OrderCores("", std::move(cpus)));
}

MeasuringCore::MeasuringCore(MeasuringCore&& other) noexcept { *this = std::move(other); }

MeasuringCore& MeasuringCore::operator=(MeasuringCore&& other) noexcept {
  std::swap(cpu_, other.cpu_);
  std::swap(claim_, other.claim_);
  std::swap(cpus_, other.cpus_);
  return *this;
}

MeasuringCore::~MeasuringCore() {
  if (claim_ >= 0) close(claim_);
}

void MeasuringCore::Enter() const {
  if (cpu_ >= 0) MoveThread(0, {cpu_});
}

void MeasuringCore::Leave() const {
  if (cpu_ >= 0) MoveThread(0, cpus_);
}

}  // namespace hone

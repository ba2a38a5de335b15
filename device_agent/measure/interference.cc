#include "device_agent/measure/interference.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace hone {
namespace {

constexpr int64_t kStealStepNs = 10000000;  // the counter's unit, and how often looking is of use
constexpr size_t kStealField = 8;           // of a line in /proc/stat, the name counted

// Appends the file to `files` if there is one.
void OpenIfThere(const std::string& path, std::vector<int>& files) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd >= 0) files.push_back(fd);
}

// The file from its beginning, up to 64 KiB: a file of the system's is made anew by each reading.
std::string Reread(int fd) {
  std::array<char, 65536> text;
  const ssize_t n = pread(fd, text.data(), text.size(), 0);
  return n > 0 ? std::string(text.data(), static_cast<size_t>(n)) : "";
}

int64_t NumberAt(absl::string_view line, size_t field) {
  const std::vector<absl::string_view> fields =
      absl::StrSplit(line, absl::ByAnyChar(" \n"), absl::SkipEmpty());
  int64_t value = 0;
  return field < fields.size() && absl::SimpleAtoi(fields[field], &value) ? value : 0;
}

}  // namespace

InterferenceMeter::InterferenceMeter(const std::string& root, const std::vector<int>& cpus)
    : cpus_(cpus) {
  const std::string threads = root + "/proc/self/task";
  if (DIR* folder = opendir(threads.c_str()); folder != nullptr) {
    while (const dirent* entry = readdir(folder)) {
      if (entry->d_name[0] == '.') continue;
      OpenIfThere(absl::StrCat(threads, "/", entry->d_name, "/schedstat"), thread_files_);
    }
    closedir(folder);
  }
  for (int cpu : cpus) {
    OpenIfThere(absl::StrCat(root, "/sys/devices/system/cpu/cpu", cpu,
                             "/thermal_throttle/core_throttle_count"),
                throttle_files_);
  }
  stat_file_ = open((root + "/proc/stat").c_str(), O_RDONLY | O_CLOEXEC);
}

InterferenceMeter::~InterferenceMeter() {
  for (int fd : thread_files_) close(fd);
  for (int fd : throttle_files_) close(fd);
  if (stat_file_ >= 0) close(stat_file_);
}

Interference InterferenceMeter::Read(int64_t now_ns) {
  Interference reading;
  for (int fd : thread_files_) reading.waited_ns += NumberAt(Reread(fd), 1);
  for (int fd : throttle_files_) reading.throttled += NumberAt(Reread(fd), 0);
  if (stolen_read_ns_ < 0 || now_ns - stolen_read_ns_ >= kStealStepNs) {
    stolen_ns_ = ReadStolenNs();
    stolen_read_ns_ = now_ns;
  }
  reading.stolen_ns = stolen_ns_;
  return reading;
}

int64_t InterferenceMeter::ReadStolenNs() const {
  if (stat_file_ < 0) return 0;
  int64_t steps = 0;
  const std::string text = Reread(stat_file_);
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    for (int cpu : cpus_) {
      if (absl::StartsWith(line, absl::StrCat("cpu", cpu, " ")))
        steps += NumberAt(line, kStealField);
    }
  }
  return steps * kStealStepNs;
}

}  // namespace hone

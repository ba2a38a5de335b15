#include "tests/chaos/soak_samples.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"

namespace hone {
namespace {

constexpr double kMib = 1 << 20;
// What may come and go: arenas of the allocator, calls that are on their way.
constexpr double kMemorySlackMib = 16, kMemorySlackShare = 0.1;
constexpr int64_t kDescriptorSlack = 8, kThreadSlack = 4;
constexpr double kDatabaseSlackShare = 0.25;  // of bytes a batch

}  // namespace

std::string SoakSamples::Take(const ChaosFarm& farm, int64_t batches) {
  began_ = std::min(began_, absl::Now());
  Sample& sample = samples_.emplace_back();
  sample.seconds = absl::ToDoubleSeconds(absl::Now() - began_);
  sample.batches = batches;
  sample.database_bytes = farm.DatabaseBytes();
  std::string line = absl::StrFormat("%7.0f s %9d batches, database %6.1f MiB", sample.seconds,
                                     batches, static_cast<double>(sample.database_bytes) / kMib);
  for (const char* name : {"tracker", "agent0", "daemon0"}) {
    const ProcessUse use = sample.uses[name] = UseOf(farm.PidOf(name));
    absl::StrAppendFormat(&line, " | %s %6.1f MiB, %3d fds, %3d threads, %5.1f s of CPU", name,
                          static_cast<double>(use.rss_bytes) / kMib, use.descriptors, use.threads,
                          use.cpu_s);
  }
  return line;
}

std::vector<std::string> SoakSamples::Judge() const {
  std::vector<std::string> grown;
  if (samples_.size() < 4) return grown;
  const Sample &warm = samples_[samples_.size() / 3], &last = samples_.back();
  for (const auto& [name, to] : last.uses) {
    const ProcessUse& from = warm.uses.at(name);
    const double from_mib = static_cast<double>(from.rss_bytes) / kMib;
    const double to_mib = static_cast<double>(to.rss_bytes) / kMib;
    if (to_mib > from_mib * (1 + kMemorySlackShare) + kMemorySlackMib) {
      grown.push_back(
          absl::StrFormat("the memory of %s grew from %.1f to %.1f MiB", name, from_mib, to_mib));
    }
    if (to.descriptors > from.descriptors + kDescriptorSlack) {
      grown.push_back(absl::StrFormat("the descriptors of %s grew from %d to %d", name,
                                      from.descriptors, to.descriptors));
    }
    if (to.threads > from.threads + kThreadSlack) {
      grown.push_back(
          absl::StrFormat("the threads of %s grew from %d to %d", name, from.threads, to.threads));
    }
  }
  const auto bytes_a_batch = [](const Sample& sample) {
    return static_cast<double>(sample.database_bytes) /
           static_cast<double>(std::max<int64_t>(1, sample.batches));
  };
  if (bytes_a_batch(last) > (1 + kDatabaseSlackShare) * bytes_a_batch(warm)) {
    grown.push_back(absl::StrFormat("the database has %.0f bytes a batch, and had %.0f",
                                    bytes_a_batch(last), bytes_a_batch(warm)));
  }
  return grown;
}

}  // namespace hone

#include "device_agent/measure/watch_page.h"

#include <string.h>

#include <algorithm>

namespace hone {

void WatchPage::AddRegion(absl::string_view name, const void* begin, int64_t bytes) {
  const int index = region_count.load(std::memory_order_relaxed);
  if (index >= kRegionsMax) return;
  Region& region = regions[index];
  region.begin = reinterpret_cast<uint64_t>(begin);
  region.bytes = static_cast<uint64_t>(bytes);
  const size_t length = std::min(name.size(), sizeof(region.name) - 1);
  memcpy(region.name, name.data(), length);
  region.name[length] = '\0';
  region_count.store(index + 1, std::memory_order_release);
}

}  // namespace hone

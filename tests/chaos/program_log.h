// What a program of hone logged with --log json, read back by tests. Lines that a kill cut off, and
// those that it never wrote, are missing.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace hone {

// The events of one name ("batch.measured"), in order.
std::vector<nlohmann::json> EventsOf(const std::string& path, absl::string_view name);
// One by one, for logs of any length.
void ForEachEvent(const std::string& path, absl::string_view name,
                  const std::function<void(const nlohmann::json&)>& see);

}  // namespace hone

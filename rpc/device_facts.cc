#include "rpc/device_facts.h"

#include "absl/strings/str_cat.h"

namespace hone {

DeviceFacts FactsOf(const pb::DeviceInfo& info, const Target& target) {
  DeviceFacts facts;
  facts.values.insert(info.facts().begin(), info.facts().end());
  facts.words.insert(info.labels().begin(), info.labels().end());
  facts.values["name"] = info.name();
  facts.values["arch"] = target.arch;
  facts.values["cpu"] = target.cpu;
  facts.values["cores"] = absl::StrCat(target.cores);
  facts.values["l1"] = absl::StrCat(target.l1_bytes);
  facts.values["l2"] = absl::StrCat(target.l2_bytes);
  facts.values["l3"] = absl::StrCat(target.l3_bytes);
  facts.words.insert(info.name());
  facts.words.insert(target.features.begin(), target.features.end());
  return facts;
}

}  // namespace hone

#include "tracker/matchmaking.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "rpc/device_facts.h"

namespace hone {
namespace {

bool SelectsByName(const Selector& selector, const std::string& name) {
  // The clause of a name is the name.
  return selector.ToString() == name;
}

bool HasFeatures(const Target& wanted, const Target& device) {
  return std::includes(device.features.begin(), device.features.end(), wanted.features.begin(),
                       wanted.features.end());
}

bool CanExecute(const Target& wanted, const Target& device) {
  return wanted.threads <= device.cores && wanted.arch == device.arch &&
         HasFeatures(wanted, device);
}

bool IsSameKind(const Target& wanted, const Target& device) {
  return wanted.cores == device.cores && wanted.l1_bytes == device.l1_bytes &&
         wanted.l2_bytes == device.l2_bytes && wanted.l3_bytes == device.l3_bytes &&
         wanted.cpu == device.cpu;
}

// Agents that came before models could be run say nothing of them.
bool RunsModels(const DeviceView& device) { return device.facts.values.contains("runs_models"); }

std::vector<std::string> MissingFeatures(const Target& wanted, const Target& device) {
  std::vector<std::string> missing;
  std::set_difference(wanted.features.begin(), wanted.features.end(), device.features.begin(),
                      device.features.end(), std::back_inserter(missing));
  return missing;
}

}  // namespace

Demand::Demand(Selector selector_asked, Target target_asked, WorkKind kind_asked,
               std::set<std::string> without_asked)
    : selector(std::move(selector_asked)),
      target(std::move(target_asked)),
      kind(kind_asked),
      without(std::move(without_asked)),
      text(absl::StrCat(kind == WorkKind::kModel ? "a model on " : "", selector.ToString(), " on ",
                        target.ToString(), without.empty() ? "" : " but not on ",
                        absl::StrJoin(without, ", "))) {}

StatusOr<DeviceView> ViewOf(const pb::DeviceInfo& info) {
  HONE_ASSIGN_OR_RETURN(Target target, Target::Parse(info.target()));
  DeviceFacts facts = FactsOf(info, target);
  return DeviceView{.name = info.name(), .target = std::move(target), .facts = std::move(facts)};
}

bool CanRun(const Demand& demand, const DeviceView& device) {
  if (!CanExecute(demand.target, device.target)) return false;
  if (demand.without.contains(device.name)) return false;
  if (SelectsByName(demand.selector, device.name)) {
    return demand.kind == WorkKind::kCandidates || RunsModels(device);
  }
  if (demand.kind == WorkKind::kModel) {
    return RunsModels(device) && demand.selector.Matches(device.facts);
  }
  return IsSameKind(demand.target, device.target) && demand.selector.Matches(device.facts);
}

std::string WhyNot(const Demand& demand, const DeviceView& device) {
  const Target& wanted = demand.target;
  const Target& has = device.target;
  if (wanted.arch != has.arch) {
    return absl::StrCat("its architecture is ", has.arch,
                        demand.kind == WorkKind::kModel
                            ? absl::StrCat(", and the model was compiled for ", wanted.arch)
                            : "");
  }
  const std::vector<std::string> missing = MissingFeatures(wanted, has);
  if (!missing.empty()) return absl::StrCat("it lacks ", absl::StrJoin(missing, ", "));
  if (wanted.threads > has.cores) return absl::StrCat("it has ", has.cores, " cores");
  if (demand.without.contains(device.name)) return "it was not quiet";
  const bool named = SelectsByName(demand.selector, device.name);
  const std::vector<std::string> unmet =
      named ? std::vector<std::string>() : demand.selector.Unmet(device.facts);
  if (!unmet.empty()) return absl::StrCat("not ", absl::StrJoin(unmet, ", not "));
  if (demand.kind == WorkKind::kModel) {
    if (RunsModels(device)) return "";
    const auto version = device.facts.values.find("agent_version");
    return absl::StrCat("its agent (version ",
                        version == device.facts.values.end() ? "unknown" : version->second,
                        ") is too old to run models; put this version of hone-agent there");
  }
  if (!named && !IsSameKind(wanted, has)) {
    return absl::StrCat("it is another kind of machine (", has.ToString(),
                        "); name it to use it all the same");
  }
  return "";
}

int Distance(const Demand& demand, const DeviceView& device) {
  // What a person asked for by word comes before what the code needs, and that before the rest.
  constexpr int kUnmet = 10'000;
  constexpr int kOtherArch = 1'000;
  const bool named = SelectsByName(demand.selector, device.name);
  int distance = named ? 0 : kUnmet * static_cast<int>(demand.selector.Unmet(device.facts).size());
  if (demand.target.arch != device.target.arch) distance += kOtherArch;
  distance += 10 * static_cast<int>(MissingFeatures(demand.target, device.target).size());
  return distance + (WhyNot(demand, device).empty() ? 0 : 1);
}

}  // namespace hone

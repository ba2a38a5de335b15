#include "rpc/permissions.h"

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace hone {
namespace {

constexpr uint32_t Bit(Role role) { return 1U << static_cast<int>(role); }

constexpr uint32_t kAgents = Bit(Role::kAgent);
constexpr uint32_t kAdmins = Bit(Role::kAdmin);
constexpr uint32_t kDaemons = Bit(Role::kDaemon);
constexpr uint32_t kTuners = Bit(Role::kTuner) | kDaemons | kAdmins;
constexpr uint32_t kReaders = kTuners | Bit(Role::kReader);
constexpr uint32_t kMembers = kReaders | kAgents | Bit(Role::kBuilder) | Bit(Role::kTracker);
constexpr uint32_t kAnonymous = Bit(Role::kAnonymous);

constexpr MethodRule kRules[] = {
    // Work. Results is how a client waits: it hands out, and changes nothing that counts.
    {"/hone.pb.Farm/Submit", kTuners, Audit::kSoon},
    {"/hone.pb.Farm/Results", kTuners, Audit::kNever},
    {"/hone.pb.Farm/Cancel", kTuners, Audit::kSoon},
    {"/hone.pb.Farm/ListDevices", kReaders, Audit::kNever},
    {"/hone.pb.Farm/Snapshot", kReaders, Audit::kNever},
    {"/hone.pb.Farm/Why", kReaders, Audit::kNever},
    // Devices.
    {"/hone.pb.Agents/Session", kAgents, Audit::kSoon},
    {"/hone.pb.Agents/Report", kAgents, Audit::kSoon},
    // Code. A blob is nothing but bytes under their own name.
    {"/hone.pb.Blobs/FindMissing", kMembers, Audit::kNever},
    {"/hone.pb.Blobs/Upload", kTuners | Bit(Role::kBuilder) | kAgents, Audit::kSoon},
    {"/hone.pb.Blobs/Download", kMembers, Audit::kNever},
    // Builds.
    {"/hone.pb.Builds/Build", kTuners, Audit::kSoon},
    {"/hone.pb.Builds/Work", kAgents | Bit(Role::kBuilder), Audit::kSoon},
    {"/hone.pb.Builds/ListBuilders", kReaders, Audit::kNever},
    // Jobs, for people. A model's pieces are told apart by their digests; the job names the model.
    {"/hone.pb.Tuning/UploadModel", kTuners, Audit::kSoon},
    {"/hone.pb.Tuning/SubmitJob", kTuners, Audit::kBeforeReply},
    {"/hone.pb.Tuning/ListJobs", kReaders, Audit::kNever},
    {"/hone.pb.Tuning/WatchJob", kReaders, Audit::kNever},
    {"/hone.pb.Tuning/CancelJob", kTuners, Audit::kBeforeReply},
    {"/hone.pb.Tuning/WhyJob", kReaders, Audit::kNever},
    // Jobs, for daemons. KeepJob comes again and again, and changes what a daemon holds alone.
    {"/hone.pb.Jobs/ClaimJob", kDaemons, Audit::kSoon},
    {"/hone.pb.Jobs/KeepJob", kDaemons, Audit::kSoon},
    {"/hone.pb.Jobs/EndJob", kDaemons, Audit::kSoon},
    {"/hone.pb.Jobs/DownloadModel", kDaemons, Audit::kNever},
    {"/hone.pb.Records/FindRecords", kReaders, Audit::kNever},
    // Owners.
    {"/hone.pb.Admin/GetPolicy", kReaders, Audit::kNever},
    {"/hone.pb.Admin/SetPolicy", kAdmins, Audit::kBeforeReply},
    {"/hone.pb.Security/MakeToken", kAdmins, Audit::kBeforeReply},
    {"/hone.pb.Security/ReadAudit", kAdmins, Audit::kNever},
    // Members, and those who become some. The desk that serves Join writes of it itself.
    {"/hone.pb.Security/Renew", kMembers, Audit::kSoon},
    {"/hone.pb.Joining/Join", kAnonymous, Audit::kBeforeReply},
    // Standard services.
    {"/grpc.health.v1.Health/Check", kMembers, Audit::kNever},
    {"/grpc.health.v1.Health/Watch", kMembers, Audit::kNever},
    {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", kReaders, Audit::kNever},
};

using Index = std::map<absl::string_view, const MethodRule*>;

const Index& RulesByPath() {
  static const auto* const kIndex = [] {
    auto* index = new Index;
    for (const MethodRule& rule : kRules) index->emplace(rule.path, &rule);
    return index;
  }();
  return *kIndex;
}

}  // namespace

absl::Span<const MethodRule> MethodRules() { return kRules; }

const MethodRule* FindMethodRule(absl::string_view path) {
  const auto found = RulesByPath().find(path);
  return found == RulesByPath().end() ? nullptr : found->second;
}

Status CheckPermission(const Identity& peer, absl::string_view path) {
  const MethodRule* const rule = FindMethodRule(path);
  if (rule == nullptr) {
    return absl::PermissionDeniedError(
        absl::StrCat("nobody may call ", path, ": it has no entry in the table of permissions"));
  }
  if (peer.local || rule->Allows(peer.role)) return absl::OkStatus();
  std::vector<absl::string_view> allowed;
  for (const Role role : AllRoles()) {
    if (rule->Allows(role)) allowed.push_back(RoleName(role));
  }
  return absl::PermissionDeniedError(absl::StrCat(
      peer.ToString(), " may not call ", path, ", which is for ", absl::StrJoin(allowed, ", "),
      "; ask an owner of the farm for a token of such a role (hone farm token)"));
}

}  // namespace hone

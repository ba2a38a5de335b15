#include "rpc/identity.h"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/auth_context.h>

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "base/selector.h"

namespace hone {
namespace {

constexpr absl::string_view kScheme = "hone:";
// gRPC's name of connections without TLS.
constexpr absl::string_view kPlainText = "insecure";
constexpr size_t kNameSizeMax = 128;

struct RoleWord {
  Role role;
  absl::string_view word;
};
constexpr RoleWord kRoleWords[] = {
    {Role::kAgent, "agent"},     {Role::kBuilder, "builder"}, {Role::kTuner, "tuner"},
    {Role::kDaemon, "daemon"},   {Role::kReader, "reader"},   {Role::kAdmin, "admin"},
    {Role::kTracker, "tracker"},
};
constexpr Role kRoles[] = {Role::kAgent,  Role::kBuilder, Role::kTuner,  Role::kDaemon,
                           Role::kReader, Role::kAdmin,   Role::kTracker};

}  // namespace

absl::Span<const Role> AllRoles() { return kRoles; }

absl::string_view RoleName(Role role) {
  for (const RoleWord& one : kRoleWords) {
    if (one.role == role) return one.word;
  }
  return "anonymous";
}

StatusOr<Role> ParseRole(absl::string_view name) {
  std::vector<absl::string_view> words;
  for (const RoleWord& one : kRoleWords) {
    if (one.word == name) return one.role;
    words.push_back(one.word);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("'", name, "' is no role; the roles are ", absl::StrJoin(words, ", ")));
}

std::string Identity::ToString() const {
  if (local) return "local";
  return name.empty() ? std::string(RoleName(role)) : absl::StrCat(RoleName(role), "/", name);
}

std::string Identity::ToUri() const { return absl::StrCat(kScheme, RoleName(role), "/", name); }

StatusOr<Identity> ParseIdentity(absl::string_view text) {
  const size_t slash = text.find('/');
  if (slash == absl::string_view::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", text, "' is no identity; write ROLE/NAME, as in agent/pi-3"));
  }
  Identity identity;
  HONE_ASSIGN_OR_RETURN(identity.role, ParseRole(text.substr(0, slash)));
  identity.name = std::string(text.substr(slash + 1));
  if (!Selector::IsWord(identity.name) || identity.name.size() > kNameSizeMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", identity.name,
                     "' is no name; letters, digits and _ - . / : make one, of at "
                     "most ",
                     kNameSizeMax, " characters"));
  }
  return identity;
}

StatusOr<Identity> IdentityOfUris(absl::Span<const std::string> uris) {
  const std::string* ours = nullptr;
  for (const std::string& uri : uris) {
    if (uri.rfind(std::string(kScheme), 0) != 0) continue;
    if (ours != nullptr) {
      return absl::UnauthenticatedError(
          absl::StrCat("the certificate names two: ", *ours, " and ", uri));
    }
    ours = &uri;
  }
  if (ours == nullptr) {
    return absl::UnauthenticatedError(
        "the certificate says nobody's name (no URI hone:ROLE/NAME among its alternative names)");
  }
  absl::string_view text = *ours;
  absl::ConsumePrefix(&text, kScheme);
  StatusOr<Identity> identity = ParseIdentity(text);
  if (identity.ok()) return identity;
  return absl::UnauthenticatedError(
      absl::StrCat("the certificate's name is not usable: ", identity.status().message()));
}

StatusOr<Identity> PeerOf(const grpc::AuthContext& context) {
  const auto security = context.FindPropertyValues(GRPC_TRANSPORT_SECURITY_TYPE_PROPERTY_NAME);
  const auto is = [&](absl::string_view type) {
    return !security.empty() &&
           absl::string_view(security.front().data(), security.front().size()) == type;
  };
  if (is(kPlainText)) return Identity{.role = Role::kAdmin, .local = true};
  if (!is(GRPC_TLS_TRANSPORT_SECURITY_TYPE) && !is(GRPC_SSL_TRANSPORT_SECURITY_TYPE)) {
    return absl::UnauthenticatedError("a connection of no kind that is known to be safe");
  }
  // Without a verified certificate there is nobody.
  if (!context.IsPeerAuthenticated()) return Identity{};
  std::vector<std::string> uris;
  for (const grpc::string_ref& uri : context.FindPropertyValues(GRPC_PEER_URI_PROPERTY_NAME)) {
    uris.emplace_back(uri.data(), uri.size());
  }
  return IdentityOfUris(uris);
}

Status CheckSpeaksFor(const Identity& peer, absl::string_view name) {
  if (peer.local || peer.name == name) return absl::OkStatus();
  if (absl::StartsWith(name, absl::StrCat(peer.name, "/"))) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrCat(
      peer.ToString(), " may not speak for '", name, "': start it with --name ", peer.name, " or ",
      peer.name, "/..., or let it join with a token for '", name, "'"));
}

Status CheckOwnsDevice(const Identity& peer, absl::string_view device) {
  if (peer.local || device == peer.name) return absl::OkStatus();
  absl::string_view rest = device;
  if (absl::ConsumePrefix(&rest, peer.name) && (rest[0] == '/' || rest[0] == ':')) {
    return absl::OkStatus();
  }
  return absl::PermissionDeniedError(absl::StrCat(peer.ToString(), " may not have a device named '",
                                                  device, "'; name it ", peer.name, ", or ",
                                                  peer.name, "/", device));
}

std::string UserOf(const Identity& peer, absl::string_view asked) {
  const bool speaks_for_others =
      peer.local || peer.role == Role::kAdmin || peer.role == Role::kDaemon;
  if (speaks_for_others) return std::string(asked);
  return peer.name;
}

}  // namespace hone

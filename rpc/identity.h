// Who is at the other end: a role and a name, as the farm's authority wrote them into the peer's
// certificate ("hone:agent/pi-3"). Services ask it of every call; it never comes from an address,
// which proxies and NAT change, nor from anything the caller says of itself.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/status.h"

namespace grpc {
class AuthContext;
}  // namespace grpc

namespace hone {

enum class Role {
  kAgent,    // a host with devices
  kBuilder,  // a host that compiles
  kTuner,    // a person or a team whose work it is
  kDaemon,   // a tuning daemon, which works for many people
  kReader,   // looks, and changes nothing
  kAdmin,    // an owner of the farm
  kTracker,
  kAnonymous,  // has no certificate yet
};

struct Identity {
  Role role = Role::kAnonymous;
  std::string name;
  // A process of this machine, over plain text: trusted like an owner, whoever it says it is.
  bool local = false;

  // "agent/pi-3"; "local".
  std::string ToString() const;
  // What a certificate says of it: "hone:agent/pi-3".
  std::string ToUri() const;
};

// "agent", "tuner", ...
absl::string_view RoleName(Role role);
absl::Span<const Role> AllRoles();
// InvalidArgument lists the roles there are.
StatusOr<Role> ParseRole(absl::string_view name);
// Reads "agent/pi-3". Names are words (base/selector.h) of at most 128 characters.
StatusOr<Identity> ParseIdentity(absl::string_view text);
// Of a certificate's URIs, one of which must be "hone:ROLE/NAME"; Unauthenticated otherwise.
StatusOr<Identity> IdentityOfUris(absl::Span<const std::string> uris);

// The peer of a call: context->auth_context(). A plain-text peer is local: such connections do not
// leave the machine (rpc/address.h). Unauthenticated if it cannot be said who it is.
StatusOr<Identity> PeerOf(const grpc::AuthContext& context);

// PermissionDenied unless an agent (a builder, a daemon) speaks for itself: "rack", and "rack/7"
// and all else below it, are who holds the certificate of "rack". Local peers may speak for any.
Status CheckSpeaksFor(const Identity& peer, absl::string_view name);
// PermissionDenied unless the device is the agent's own by its name: "pi-3", "pi-3/big", "pi-3:gpu"
// are those of agent pi-3, so that no agent takes another's. Local peers may have any.
Status CheckOwnsDevice(const Identity& peer, absl::string_view device);
// For whom a peer's work counts, given whom it asks to work for: tuners work for themselves
// whatever they ask; daemons, admins and local peers as they say.
std::string UserOf(const Identity& peer, absl::string_view asked);

}  // namespace hone

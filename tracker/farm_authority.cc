#include "tracker/farm_authority.h"

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "rpc/certificates.h"
#include "rpc/membership.h"

namespace hone {
namespace {

constexpr int64_t kDayMs = 86'400'000;
constexpr int kAuthorityDays = 3650;
constexpr int64_t kMachineDays = 365;
constexpr int64_t kPersonDays = 90;

bool IsPerson(Role role) {
  return role == Role::kTuner || role == Role::kReader || role == Role::kAdmin;
}

bool Serves(Role role) { return role == Role::kTracker || role == Role::kDaemon; }

int64_t ValidMs(Role role) { return (IsPerson(role) ? kPersonDays : kMachineDays) * kDayMs; }

// A member whose key is made here, because it is for this machine.
Status MakeMember(const TlsFolder& folder, const FarmAuthority& authority, const Identity& identity,
                  int64_t unix_ms) {
  HONE_ASSIGN_OR_RETURN(const std::string key, MakePrivateKey());
  HONE_ASSIGN_OR_RETURN(const std::string request, MakeSigningRequest(key));
  HONE_ASSIGN_OR_RETURN(TlsFiles files, authority.Sign(request, identity, unix_ms));
  files.key_pem = key;
  return WriteTlsFolder(folder, files);
}

}  // namespace

Status MakeFarm(const TlsFolder& folder, const NewFarm& farm, int64_t unix_ms) {
  std::error_code ignored;
  if (std::filesystem::exists(folder.AuthorityKey(), ignored) ||
      std::filesystem::exists(folder.Authorities(), ignored)) {
    return absl::AlreadyExistsError(
        absl::StrCat(folder.path,
                     " holds a farm's authority already, and another would lock out "
                     "everyone who has joined; choose another folder"));
  }
  HONE_ASSIGN_OR_RETURN(const Identity tracker, ParseIdentity(absl::StrCat("tracker/", farm.name)));
  HONE_ASSIGN_OR_RETURN(const Identity admin, ParseIdentity(absl::StrCat("admin/", farm.admin)));
  HONE_ASSIGN_OR_RETURN(const std::string authority_key, MakePrivateKey());
  HONE_ASSIGN_OR_RETURN(
      const std::string authority_pem,
      MakeAuthority(authority_key, absl::StrCat("hone ", farm.name), unix_ms, kAuthorityDays));
  HONE_ASSIGN_OR_RETURN(const std::string key, MakePrivateKey());
  HONE_ASSIGN_OR_RETURN(const std::string request, MakeSigningRequest(key));
  std::vector<std::string> hosts = farm.hosts;
  hosts.push_back(kServerName);
  HONE_ASSIGN_OR_RETURN(const std::string certificate,
                        SignRequest(request, authority_key, authority_pem,
                                    {.uri = tracker.ToUri(),
                                     .hosts = std::move(hosts),
                                     .unix_ms = unix_ms,
                                     .valid_ms = kMachineDays * kDayMs,
                                     .serves = true}));
  // The tracker shows its authority too: whoever joins knows that by its fingerprint.
  HONE_RETURN_IF_ERROR(
      WriteTlsFolder(folder, {.authorities_pem = authority_pem,
                              .certificate_pem = absl::StrCat(certificate, authority_pem),
                              .key_pem = key}));
  HONE_RETURN_IF_ERROR(WriteSecretFile(folder.AuthorityKey(), authority_key));
  HONE_ASSIGN_OR_RETURN(const FarmAuthority authority, FarmAuthority::Open(folder));
  return MakeMember(TlsFolder(folder.path + "/admin"), authority, admin, unix_ms);
}

StatusOr<FarmAuthority> FarmAuthority::Open(const TlsFolder& folder) {
  FarmAuthority authority;
  HONE_ASSIGN_OR_RETURN(authority.key_pem_, ReadFile(folder.AuthorityKey()));
  HONE_ASSIGN_OR_RETURN(authority.authorities_pem_, ReadFile(folder.Authorities()));
  HONE_ASSIGN_OR_RETURN(const auto each, SplitCertificates(authority.authorities_pem_));
  // While authorities change there are two, and members trust both.
  for (const std::string& one : each) {
    if (CheckKeyFits(authority.key_pem_, one).ok()) authority.own_pem_ = one;
  }
  if (authority.own_pem_.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        folder.AuthorityKey(), " is the key of no certificate in ", folder.Authorities()));
  }
  HONE_ASSIGN_OR_RETURN(const auto facts, ReadCertificates(authority.own_pem_));
  authority.fingerprint_ = facts.front().fingerprint;
  return authority;
}

StatusOr<TlsFiles> FarmAuthority::Sign(const std::string& request_pem, const Identity& identity,
                                       int64_t unix_ms) const {
  std::vector<std::string> hosts;
  if (Serves(identity.role)) hosts.push_back(kServerName);
  HONE_ASSIGN_OR_RETURN(const std::string certificate,
                        SignRequest(request_pem, key_pem_, own_pem_,
                                    {.uri = identity.ToUri(),
                                     .hosts = std::move(hosts),
                                     .unix_ms = unix_ms,
                                     .valid_ms = ValidMs(identity.role),
                                     .serves = Serves(identity.role)}));
  return TlsFiles{.authorities_pem = authorities_pem_,
                  .certificate_pem = absl::StrCat(certificate, own_pem_)};
}

Status FarmAuthority::RenewTracker(const TlsFolder& folder, int64_t unix_ms) const {
  HONE_ASSIGN_OR_RETURN(const bool due, IsRenewalDue(folder, unix_ms));
  if (!due) return absl::OkStatus();
  HONE_ASSIGN_OR_RETURN(const Identity identity, CheckTlsFolder(folder, unix_ms));
  HONE_ASSIGN_OR_RETURN(const std::string key, ReadFile(folder.Key()));
  HONE_ASSIGN_OR_RETURN(const std::string request, MakeSigningRequest(key));
  HONE_ASSIGN_OR_RETURN(const TlsFiles files, Sign(request, identity, unix_ms));
  return WriteFile(folder.Certificate(), files.certificate_pem);
}

}  // namespace hone

#include "db/record_package.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/signature.h"
#include "base/unix_time.h"

namespace hone {
namespace {

// Signed with it, so that a signature made for another purpose is none of a package.
constexpr absl::string_view kDomain = "hone records package 1\n";
constexpr size_t kNameSizeMax = 128;

Status CheckTerms(const PackageTerms& terms) {
  if (terms.name.empty() || terms.name.size() > kNameSizeMax) {
    return absl::InvalidArgumentError(
        "a package needs a name of at most 128 characters, the same for all that follow it: "
        "--name");
  }
  if (terms.version < 1) {
    return absl::InvalidArgumentError("a package's version is 1 or more: --version");
  }
  if (terms.expires_unix_ms <= terms.made_unix_ms) {
    return absl::InvalidArgumentError("a package expires after it is made: --days");
  }
  return absl::OkStatus();
}

Status CheckVersion(const pb::RecordManifest& manifest, const TakenPackage& offered,
                    const std::optional<TakenPackage>& taken) {
  if (!taken) return absl::OkStatus();
  if (offered.version < taken->version) {
    return absl::FailedPreconditionError(absl::StrCat(
        "package ", manifest.name(), " is of version ", offered.version, ", and version ",
        taken->version, " was taken in before: somebody hands out old ones; get the latest"));
  }
  if (offered.version == taken->version && offered.digest != taken->digest) {
    return absl::FailedPreconditionError(absl::StrCat(
        "there are two packages ", manifest.name(), " of version ", offered.version,
        ": another was taken in before; whoever signs them gives each a version of its own"));
  }
  return absl::OkStatus();
}

}  // namespace

StatusOr<std::string> SealRecords(absl::Span<const pb::Record> records, const PackageTerms& terms,
                                  const std::string& private_key_pem) {
  HONE_RETURN_IF_ERROR(CheckTerms(terms));
  pb::RecordList list;
  for (const pb::Record& record : records) {
    *list.add_records() = record;
    list.mutable_records()->rbegin()->clear_id();
  }
  pb::RecordPackage package;
  package.set_records(list.SerializeAsString());
  pb::RecordManifest manifest;
  manifest.set_name(terms.name);
  manifest.set_version(terms.version);
  manifest.set_made_unix_ms(terms.made_unix_ms);
  manifest.set_expires_unix_ms(terms.expires_unix_ms);
  manifest.set_records(list.records_size());
  manifest.set_digest(Digest(package.records()));
  package.set_manifest(manifest.SerializeAsString());
  HONE_ASSIGN_OR_RETURN(*package.mutable_signature(),
                        Sign(private_key_pem, absl::StrCat(kDomain, package.manifest())));
  return package.SerializeAsString();
}

StatusOr<OpenedPackage> OpenPackage(absl::string_view bytes, const std::string& public_key_pem,
                                    int64_t unix_ms, const ImportStore& store) {
  OpenedPackage opened;
  HONE_ASSIGN_OR_RETURN(opened.public_key, PublicKeyId(public_key_pem));
  pb::RecordPackage package;
  if (!package.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) ||
      package.manifest().empty()) {
    return absl::InvalidArgumentError("this is no package of `hone records export`");
  }
  if (const Status status = CheckSignature(
          public_key_pem, absl::StrCat(kDomain, package.manifest()), package.signature());
      !status.ok()) {
    return absl::PermissionDeniedError(
        "the package is not signed by the key of --trust, or was changed since; get the key from "
        "whoever you trust, and the package anew");
  }
  pb::RecordManifest& manifest = opened.manifest;
  if (!manifest.ParseFromString(package.manifest())) {
    return absl::InvalidArgumentError("the package's manifest cannot be read; a newer hone can");
  }
  if (unix_ms >= manifest.expires_unix_ms()) {
    return absl::FailedPreconditionError(
        absl::StrCat("package ", manifest.name(), " of version ", manifest.version(),
                     " expired on ", FormatUnixMillis(manifest.expires_unix_ms()),
                     " UTC: get the latest, or check this machine's clock"));
  }
  opened.taken = {.version = manifest.version(), .digest = Digest(package.manifest())};
  HONE_ASSIGN_OR_RETURN(const std::optional<TakenPackage> taken,
                        store.FindPackage(opened.public_key, manifest.name()));
  HONE_RETURN_IF_ERROR(CheckVersion(manifest, opened.taken, taken));
  pb::RecordList list;
  if (Digest(package.records()) != manifest.digest() || !list.ParseFromString(package.records()) ||
      list.records_size() != manifest.records()) {
    return absl::DataLossError(absl::StrCat(
        "the records of package ", manifest.name(), " are not those that version ",
        manifest.version(), " was signed for: it is put together from others; get it anew"));
  }
  // What has no batch of its own gets one, so that it is there once however often it is taken in.
  for (pb::Record& record : *list.mutable_records()) {
    if (record.batch_id().empty()) {
      record.set_batch_id("package/" + Digest(record.SerializeAsString()));
    }
    opened.records.push_back(std::move(record));
  }
  return opened;
}

}  // namespace hone

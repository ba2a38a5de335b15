// Signed packages of records: how a team hands its best records to others, who need not trust the
// way that they came. Whoever takes one in refuses what is not signed by a key that they named, has
// expired, is older than what they have, or is put together from parts of several. A record is
// data: its schedule is checked again by whoever compiles with it. Reads and writes bytes, never
// files.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/status.h"
#include "db/import_store.h"
#include "proto/record.pb.h"
#include "proto/record_package.pb.h"

namespace hone {

struct PackageTerms {
  std::string name;  // of the line of packages
  int64_t version = 0;
  int64_t made_unix_ms = 0;
  int64_t expires_unix_ms = 0;
};

// The bytes of a package. InvalidArgument: bad terms, or no private key.
StatusOr<std::string> SealRecords(absl::Span<const pb::Record> records, const PackageTerms& terms,
                                  const std::string& private_key_pem);

struct OpenedPackage {
  pb::RecordManifest manifest;
  std::vector<pb::Record> records;
  std::string public_key;  // its id
  TakenPackage taken;      // to be kept once the records are
};

// Checks a package, in this order, before it believes any part of it:
//   signature    PermissionDenied: by another key, or of other bytes
//   expiry       FailedPrecondition: it may be held back from what is known by now
//   version      FailedPrecondition: older than the one that was taken in last, or another of the
//                same version
//   records      DataLoss: they are not those that were signed
StatusOr<OpenedPackage> OpenPackage(absl::string_view bytes, const std::string& public_key_pem,
                                    int64_t unix_ms, const ImportStore& store);

}  // namespace hone

// LinkFacts: what `hone doctor` wants to know of a farm: how far one comes towards its tracker, and
// what that says of itself and its devices. Gathers only; doctor.h judges.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "proto/snapshot.pb.h"
#include "rpc/knock.h"

namespace hone {

struct LinkFacts {
  std::string tracker;  // address asked for; "" for none, and then the rest says nothing
  KnockResult knock;
  bool offers_tls = false;     // we have certificates to show
  Status certificates;         // what is wrong with them
  Status call;                 // what came of asking the tracker how its farm is
  pb::FarmSnapshot farm;       // if that is OK
  int64_t clock_ahead_ms = 0;  // the tracker's clock, less ours
  std::string version;         // ours
};

// `tls_dir`: our certificates (rpc/credentials.h), "" for none; `version`: ours. Takes a few
// seconds when nobody answers.
LinkFacts ReadLinkFacts(const std::string& tracker, const std::string& tls_dir,
                        const std::string& version);

}  // namespace hone

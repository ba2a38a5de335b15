// What `hone farm` says about tokens and the audit trail. Pure functions used by farm_command.cc;
// no network, no clock.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "proto/security.pb.h"

namespace hone {

// The token, for whom it is, and the command in which it is used.
std::string TokenReport(const std::string& identity, const std::string& tracker,
                        const pb::MakeTokenReply& reply, int64_t now_unix_ms);

// A table, oldest first, and the hash of the last entry, which is worth keeping elsewhere: whoever
// cuts off the trail's end changes it.
std::string AuditReport(const std::vector<pb::AuditEntry>& entries, int width);

}  // namespace hone

// What a tracker has on record, for compilers and tuners that cannot read its database. Reads only.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "proto/record.pb.h"
#include "proto/tuning.pb.h"
#include "rpc/tracker_line.h"

namespace hone {

// Asks a tracker ("unix:/path" or "host:port", several with commas; `tls_dir` as MakeChannel has
// it). Unavailable, with the way out, if none answers.
StatusOr<std::vector<pb::Record>> FetchRecords(const std::string& tracker,
                                               const pb::FindRecordsRequest& request,
                                               const std::string& tls_dir = "");
// The same over a line that its caller keeps. One whose certificate expires meanwhile goes on, and
// takes up the renewed one when it has to connect anew.
StatusOr<std::vector<pb::Record>> FetchRecords(TrackerLine& line,
                                               const pb::FindRecordsRequest& request);

}  // namespace hone

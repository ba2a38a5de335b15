// The name of a build: the digest of all that its artifact follows from. Client and tracker make it
// alike, so that a build that was asked for by anybody is asked for once.
#pragma once

#include <string>

#include "proto/builds.pb.h"

namespace hone {

std::string BuildKey(const pb::BuildRequest& request, const pb::CompilerVersion& version);

// "0.1.0, codegen 3"
std::string VersionText(const pb::CompilerVersion& version);

bool IsSameVersion(const pb::CompilerVersion& a, const pb::CompilerVersion& b);

}  // namespace hone

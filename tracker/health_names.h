// The names that the standard health service of a tracker answers for. A tracker that leads is
// SERVING under the names of its services, and one that stands by is not; kAlive says whether the
// process is well, in either role.
#pragma once

namespace hone {

// "" is the server as a whole.
inline constexpr const char* kHealthNames[] = {"",
                                               "hone.pb.Farm",
                                               "hone.pb.Agents",
                                               "hone.pb.Admin",
                                               "hone.pb.Blobs",
                                               "hone.pb.Builds",
                                               "hone.pb.Jobs",
                                               "hone.pb.Records",
                                               "hone.pb.Security",
                                               "hone.pb.Tuning"};
inline constexpr char kAlive[] = "hone.Alive";

}  // namespace hone

// What a tuning session asks of whoever compiles and measures for it, beside the Measurer: how a
// candidate is compiled, and how those of a duel are marked. For sessions, build pools and replays.
// Compiles nothing itself.
#pragma once

#include <functional>

#include "proto/worker.pb.h"

namespace hone {

// Compiles one candidate and calls `done` once, perhaps on another thread. BuildPool::Submit is
// one.
using BuildCandidate =
    std::function<void(pb::BuildRequest request, std::function<void(pb::BuildReply)> done)>;

// Origin of the candidates of a duel.
inline constexpr char kDuelOrigin[] = "final";

}  // namespace hone

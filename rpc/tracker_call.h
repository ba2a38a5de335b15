// One call to the tracker that leads, made by the clients of rpc/: with a deadline, and with errors
// that name the tracker. Of several trackers it finds the leader, also while that changes; a single
// one is asked once.
#pragma once

#include <grpcpp/grpcpp.h>

#include <algorithm>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "rpc/grpc_status.h"
#include "rpc/tracker_line.h"

namespace hone {

// By then another leads.
inline constexpr absl::Duration kAwaitLeader = absl::Seconds(15);
inline constexpr absl::Duration kAskAgain = absl::Milliseconds(200);

// Calls `call` with the link to a tracker, and with others of several trackers while it fails
// because of the tracker. It may so arrive twice. Nobody else cancels it.
template <typename Call>
Status AskLeader(TrackerLine& line, absl::Duration timeout, const Call& call) {
  const absl::Time give_up = absl::Now() + std::min(timeout, kAwaitLeader);
  bool was_sent_on = false;
  while (true) {
    const auto link = line.link();
    const Status answer = call(*link);
    const Status status = line.HeardOfUncancelled(*link, answer);
    const bool goes_on = line.link() != link || line.has_several();
    if (!absl::IsUnavailable(status) || !goes_on || absl::Now() > give_up) return status;
    const bool is_sent_on = !LeaderOf(answer).empty() && !was_sent_on;
    if (!is_sent_on) line.Pause(kAskAgain);
    was_sent_on = is_sent_on;
  }
}

// Calls `method` of a stub of the tracker's service.
template <typename Stub, typename Request, typename Reply>
StatusOr<Reply> CallTracker(TrackerLine& line,
                            grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                         Reply*),
                            const Request& request, absl::Duration timeout) {
  Reply reply;
  HONE_RETURN_IF_ERROR(AskLeader(line, timeout, [&](const TrackerLine::Link& link) {
    Stub stub(link.channel);
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
    return FromGrpc((stub.*method)(&context, request, &reply));
  }));
  return reply;
}

}  // namespace hone

// AgentSession: a device agent's connection to its tracker. Keeps one stream open for ever (backing
// off and reconnecting by itself), sends the agent's state over it and hands the tracker's orders
// to the agent; carries reports, each until the tracker has settled it. Used by device_agent alone.
// It never decides what runs, and knows nothing of workers.
//
// How an agent uses it: whenever its state changes (a grant taken, started or settled; a device
// quarantined), SetState with the whole of it. On orders, compare with what is held, per device:
//   - orders.epoch differs from the epoch held: drop (kill) everything held, take the new epoch
//   - a grant with a batch that is not held: take it; its artifacts name their code (blob_client.h)
//   - something held (and not yet measured) that no grant names: drop (kill) it
// When an attempt is measured: Report(MakeReport(...)), keep listing it as held, and forget it when
// the session calls `on_settled`.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/status.h"
#include "proto/farm.pb.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace hone {

struct AgentSessionOptions {
  // "unix:/path" or "host:port" each: tried in turn, and the leader that one of them names.
  std::vector<std::string> trackers;
  std::string tls_dir;  // of certificates (rpc/credentials.h); "" for plain text on this machine
  std::string agent;    // name of the agent, unique in the farm
  // Rises with every start of the agent: the time in ms since 1970 will do.
  uint64_t boot = 0;
  absl::Duration heartbeat = absl::Seconds(5);
  absl::Duration reconnect_backoff_min = absl::Milliseconds(250);
  absl::Duration reconnect_backoff_max = absl::Seconds(15);
};

// Called on the session's threads, one at a time: they post to the agent's own loop and return.
struct AgentSessionHandlers {
  std::function<void(pb::AgentOrders orders)> on_orders;
  // A report is settled: it was recorded, or does not count (the reply says why).
  std::function<void(std::string attempt_id, pb::ReportReply reply)> on_settled;
  // The stream to this tracker was opened (OK), or was lost, and will be opened again there or
  // elsewhere (an error: for the log).
  std::function<void(std::string tracker, Status status)> on_link;
  // The tracker will not have this agent: another with its name and a younger boot is there. The
  // session has ended; the agent should stop.
  std::function<void(Status status)> on_refused;
};

class AgentSession {
 public:
  // Starts connecting at once; fails only if an address is not usable (InvalidArgument) or the
  // certificates are not (as CheckTlsFolder says).
  static StatusOr<std::unique_ptr<AgentSession>> Start(AgentSessionOptions options,
                                                       AgentSessionHandlers handlers);
  // Ends the stream; reports not settled yet are dropped. No handler is called afterwards.
  ~AgentSession();

  // The whole present state: sent at once, with every heartbeat, and first after reconnecting.
  // Fills in agent, boot and sequence itself.
  void SetState(pb::AgentState state);

  // Sent now, and again until settled. Repeating one with the same attempt id has no effect.
  // Reports that an earlier life of the agent left behind must come before the first SetState: the
  // stream is opened once they are settled, because the lease that it brings makes them stale.
  void Report(pb::ReportRequest report);

  // To the tracker of now, for what an agent asks of it beside: see blob_client.h.
  std::shared_ptr<grpc::Channel> channel() const;

  // Hands the leases of all devices back, so that others have at once what was granted: the last
  // that an agent does. False if the tracker has not said within the timeout that it knows, or is
  // not there: then it finds out by itself, later.
  bool HandBack(absl::Duration timeout);

  // Waits until every report is settled, or the timeout passes; true if so.
  bool WaitForReports(absl::Duration timeout);

 private:
  class Impl;
  explicit AgentSession(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The report of a grant: its ids, the result, and the batch without its artifacts' code.
pb::ReportRequest MakeReport(absl::string_view device, uint64_t epoch, const pb::Grant& grant,
                             pb::BatchResult result);

}  // namespace hone

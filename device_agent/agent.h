// The agent of one host: one connection to the tracker, any number of devices behind it. Carries
// orders to the devices, and their states and reports to the tracker, until told to stop.
// Everything happens on one thread, in the io_context; the session's threads only post to it.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/blob_store.h"
#include "base/clock.h"
#include "base/event_log.h"
#include "base/status.h"
#include "device_agent/agent_device.h"
#include "device_agent/artifact_cache.h"
#include "device_agent/power_domain.h"
#include "device_agent/report_spool.h"
#include "rpc/agent_session.h"

namespace hone {

struct AgentOptions {
  std::vector<std::string> trackers;  // "unix:/path" or "host:port" each: one of them leads
  std::string tls_dir;                // of certificates (rpc/credentials.h)
  std::string name;                   // unique in the farm
  std::vector<AgentDeviceOptions> devices;
  // The devices share neither power nor heat: several measure at a time.
  bool independent_devices = false;
  std::string spool_folder;  // "" keeps reports in memory only
  BlobStoreOptions cache;    // of artifacts
  EventLog::Sink log;        // null: nothing is logged
  LogFormat log_format = LogFormat::kText;
};

class Agent {
 public:
  // Starts the workers, then the session. Both arguments must outlive the agent. `context` is
  // stopped when the tracker refuses the agent; status() then says why.
  static StatusOr<std::unique_ptr<Agent>> Start(boost::asio::io_context& context,
                                                const Clock& clock, AgentOptions options);
  ~Agent();

  const Status& status() const { return status_; }

  // Whether no device has anything to do, and all that was done is settled.
  bool IsIdle() const;
  // How many attempts its devices were granted so far.
  uint64_t taken() const;
  // Hands the leases back, as the last thing it does: AgentSession::HandBack.
  bool HandBack(absl::Duration timeout);

 private:
  Agent(boost::asio::io_context& context, const Clock& clock, AgentOptions options);
  Status StartDevices();
  Status Connect();
  // `done`, called later in the io_context.
  std::function<void(Status)> InContext(std::function<void(Status)> done);

  void OnOrders(const pb::AgentOrders& orders);
  void OnSettled(const std::string& attempt_id, const pb::ReportReply& reply);
  void OnLink(const std::string& tracker, const Status& status);
  void Report(pb::ReportRequest report);
  void PublishState();

  boost::asio::io_context& context_;
  const Clock& clock_;
  const AgentOptions options_;
  const EventLog log_;
  std::optional<ReportSpool> spool_;
  std::unique_ptr<BlobStore> code_;  // before the devices, which hold what they are granted
  PowerDomain domain_;
  std::vector<std::unique_ptr<AgentDevice>> devices_;
  bool publishing_ = false;  // the state is sent once what happens now is over
  Status status_;
  std::unique_ptr<AgentSession> session_;  // its handlers use the rest
  std::unique_ptr<ArtifactCache> cache_;   // uses the session's channel
};

}  // namespace hone

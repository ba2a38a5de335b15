// The agent of one device: takes what the tracker grants it, has it measured by the worker, and
// reports, until told to stop. Everything happens on one thread, in the io_context; the session's
// threads only post to it.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "device_agent/assignments.h"
#include "device_agent/measuring_worker.h"
#include "device_agent/report_spool.h"
#include "proto/device.pb.h"
#include "rpc/agent_session.h"

namespace hone {

struct AgentOptions {
  std::string tracker;         // "unix:/path" or "host:port"
  pb::DeviceInfo device;       // name, target, facts and speed
  std::string worker_program;  // path of hone-worker
  std::string spool_folder;    // "" keeps reports in memory only
};

class Agent {
 public:
  // Starts the worker, then the session. Both arguments must outlive the agent. `context` is
  // stopped when the tracker refuses the agent; status() then says why.
  static StatusOr<std::unique_ptr<Agent>> Start(boost::asio::io_context& context,
                                                const Clock& clock, AgentOptions options);
  ~Agent();

  const Status& status() const { return status_; }

 private:
  Agent(boost::asio::io_context& context, const Clock& clock, AgentOptions options);
  Status Connect();

  void OnOrders(const pb::AgentOrders& orders);
  void OnSettled(const std::string& attempt_id, const pb::ReportReply& reply);
  void OnMeasured(pb::BatchResult result);
  void RunNext();
  void PublishState();

  boost::asio::io_context& context_;
  const Clock& clock_;
  const AgentOptions options_;
  Assignments assignments_;
  std::optional<ReportSpool> spool_;
  std::unique_ptr<MeasuringWorker> worker_;
  Status status_;
  std::unique_ptr<AgentSession> session_;  // last: its handlers use the rest
};

}  // namespace hone

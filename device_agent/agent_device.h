// One device of an agent, with its own worker and its own lease: takes what the tracker grants it,
// waits for its turn and for its gate, has it measured, checks afterwards that the device stayed as
// it was, and reports. Between batches it runs canaries. Everything happens on the agent's one
// thread, in the io_context; nothing here waits or speaks to the tracker.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/blob_store.h"
#include "base/clock.h"
#include "base/event_log.h"
#include "base/status.h"
#include "device_agent/assignments.h"
#include "device_agent/device_health.h"
#include "device_agent/gate.h"
#include "device_agent/measuring_worker.h"
#include "device_agent/power_domain.h"
#include "proto/device.pb.h"
#include "proto/farm.pb.h"
#include "rpc/batch_blobs.h"

namespace hone {

struct AgentDeviceOptions {
  pb::DeviceInfo info;                  // name, target, facts and speed
  std::vector<int> cpus;                // that its kernels run on; none: all that the agent may use
  std::string worker_program;           // path of hone-worker
  std::optional<SandboxLevel> sandbox;  // around kernels; nullopt: the highest there is
  std::string sysroot;                  // of the sensors; "" is the machine's own
  GateLimits gate;
  std::string canary_path;  // file of its canaries' history; "" keeps it in memory only
  EventLog::Sink log;       // null: nothing is logged
  LogFormat log_format = LogFormat::kText;
};

struct AgentDeviceHandlers {
  std::function<void(pb::ReportRequest)> report;
  std::function<void()> changed;  // Describe() would say something else now
  // Gets these blobs into the store, and calls `done` later, in the io_context: see ArtifactCache.
  std::function<void(std::vector<std::string> digests, std::function<void(Status)> done)> fetch;
  // Gets these blobs to the tracker, and calls `done` likewise.
  std::function<void(Blobs blobs, std::function<void(Status)> done)> upload;
};

class AgentDevice {
 public:
  // Starts the worker, so that one that cannot run is known early. All arguments that are
  // references must outlive the device.
  static StatusOr<std::unique_ptr<AgentDevice>> Start(boost::asio::io_context& context,
                                                      const Clock& clock, PowerDomain& domain,
                                                      BlobStore& code, AgentDeviceOptions options,
                                                      AgentDeviceHandlers handlers);
  ~AgentDevice();

  const std::string& name() const { return options_.info.name(); }

  void Take(const pb::DeviceOrders& orders);
  // A report of an earlier life of the agent, held until it is settled.
  void HoldReported(const pb::ReportRequest& report);
  void Settle(const std::string& attempt_id);
  // The link to the tracker is there (again).
  void OnLink();
  // Whether the tracker has settled all that it granted.
  bool IsIdle() const { return assignments_.empty(); }
  // How many attempts it was granted so far.
  uint64_t taken() const { return assignments_.taken(); }
  // The device as the tracker is told of it.
  void Describe(pb::DeviceStatus& status) const;
  // Begins what there is to do, if nothing is under way.
  void Go();

 private:
  AgentDevice(boost::asio::io_context& context, const Clock& clock, PowerDomain& domain,
              BlobStore& code, AgentDeviceOptions options, AgentDeviceHandlers handlers);

  bool IsBench() const;
  // Fetches the code of what is granted.
  void FetchCode();
  void OnFetched(const std::string& attempt_id, const Status& status);
  // Lets the code of what is measured or withdrawn go.
  void DropCode();
  void RunCanary();
  void OnCanary(StatusOr<pb::CanaryReading> reading);
  void OnUnkillable(const std::string& reason);
  // Why the device is in quarantine; "" when it is not.
  std::string QuarantineReason() const;
  void WaitAtGate();
  void AskGate();
  void Measure();
  void OnMeasured(pb::BatchResult result);
  // Its code is damaged on disk: it is fetched again, and the batch waits for it.
  void Postpone();
  void RunModel();
  void OnModelRun(MeasuringWorker::ModelOutcome outcome);
  // Hands in what the model gave, again while there is no tracker, and then goes on to OnMeasured.
  void Deliver(pb::BatchResult result, Blobs blobs);
  // Ends the running attempt; `taint` is why its times do not count, if they do not.
  void Finish(pb::BatchResult result, const std::string& taint);
  void Report(const pb::Grant& grant, pb::BatchResult result);
  void AddEnvironment(pb::BatchResult& result) const;
  // Nothing is under way any more: the next member has its turn, and so has the next batch.
  void Rest();
  void GoLater();

  boost::asio::io_context& context_;
  const Clock& clock_;
  PowerDomain& domain_;
  BlobStore& store_;
  const AgentDeviceOptions options_;
  const AgentDeviceHandlers handlers_;
  const EventLog log_;
  Assignments assignments_;
  DeviceHealth health_;
  std::unique_ptr<MeasuringWorker> worker_;
  std::string unkillable_;  // why nothing can be measured any more; "" as long as it can
  boost::asio::steady_timer gate_timer_;
  boost::asio::steady_timer canary_timer_;
  boost::asio::steady_timer delivery_timer_;

  // Of an attempt's code: that it stays in the store, and what came of fetching it.
  struct Code {
    BlobStore::Pin pin;
    Status status;
  };
  std::map<std::string, Code> code_;  // by attempt

  bool at_work_ = false;            // a canary, or the attempt that runs
  std::optional<pb::Grant> grant_;  // that runs
  std::optional<GateWait> gate_;
  int retries_ = 0;  // of the grant, because its times did not count
  // Of the last try, and why it does not count.
  std::optional<pb::BatchResult> tainted_result_;
  std::string taint_;
  // Handlers that outlive the device find it gone.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace hone

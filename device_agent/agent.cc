#include "device_agent/agent.h"

#include <errno.h>
#include <signal.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "device_agent/sandbox/cgroup.h"
#include "proto/farm.pb.h"
#include "rpc/blob_client.h"

namespace hone {
namespace {

namespace asio = boost::asio;

}  // namespace

StatusOr<std::unique_ptr<Agent>> Agent::Start(asio::io_context& context, const Clock& clock,
                                              AgentOptions options) {
  std::unique_ptr<Agent> agent(new Agent(context, clock, std::move(options)));
  if (!agent->options_.spool_folder.empty()) {
    HONE_ASSIGN_OR_RETURN(agent->spool_, ReportSpool::Open(agent->options_.spool_folder));
  }
  HONE_ASSIGN_OR_RETURN(agent->code_, BlobStore::Open(agent->options_.cache));
  // The workers first: they must exist before any gRPC object does.
  HONE_RETURN_IF_ERROR(agent->StartDevices());
  HONE_RETURN_IF_ERROR(agent->Connect());
  return agent;
}

Agent::Agent(asio::io_context& context, const Clock& clock, AgentOptions options)
    : context_(context),
      clock_(clock),
      options_(std::move(options)),
      log_(options_.log_format, clock, options_.log),
      domain_(options_.independent_devices) {}

Agent::~Agent() {
  cache_.reset();
  session_.reset();
}

bool Agent::IsIdle() const {
  return std::all_of(devices_.begin(), devices_.end(),
                     [](const auto& device) { return device->IsIdle(); });
}

uint64_t Agent::taken() const {
  uint64_t taken = 0;
  for (const auto& device : devices_) taken += device->taken();
  return taken;
}

bool Agent::HandBack(absl::Duration timeout) { return session_->HandBack(timeout); }

Status Agent::StartDevices() {
  // What agents left that were killed.
  Cgroup::Sweep("", [](pid_t pid) { return kill(pid, 0) == 0 || errno != ESRCH; });
  for (const AgentDeviceOptions& device : options_.devices) {
    const AgentDeviceHandlers handlers = {
        .report = [this](pb::ReportRequest report) { Report(std::move(report)); },
        .changed = [this] { PublishState(); },
        .fetch =
            [this](std::vector<std::string> digests, std::function<void(Status)> done) {
              cache_->Fetch(std::move(digests), InContext(std::move(done)));
            },
        .upload =
            [this](Blobs blobs, std::function<void(Status)> done) {
              cache_->Upload(std::move(blobs), InContext(std::move(done)));
            }};
    HONE_ASSIGN_OR_RETURN(devices_.emplace_back(),
                          AgentDevice::Start(context_, clock_, domain_, *code_, device, handlers));
  }
  return absl::OkStatus();
}

std::function<void(Status)> Agent::InContext(std::function<void(Status)> done) {
  return [this, done = std::move(done)](Status status) {
    asio::post(context_, [done, status = std::move(status)] { done(status); });
  };
}

Status Agent::Connect() {
  AgentSessionOptions options;
  options.trackers = options_.trackers;
  options.tls_dir = options_.tls_dir;
  options.agent = options_.name;
  options.boot = static_cast<uint64_t>(clock_.UnixMillis());
  AgentSessionHandlers handlers;
  handlers.on_orders = [this](pb::AgentOrders orders) {
    asio::post(context_, [this, orders = std::move(orders)] { OnOrders(orders); });
  };
  handlers.on_settled = [this](std::string attempt_id, pb::ReportReply reply) {
    asio::post(context_, [this, attempt_id = std::move(attempt_id), reply = std::move(reply)] {
      OnSettled(attempt_id, reply);
    });
  };
  handlers.on_link = [this](std::string tracker, Status status) {
    asio::post(context_, [this, tracker = std::move(tracker), status = std::move(status)] {
      OnLink(tracker, status);
    });
  };
  handlers.on_refused = [this](Status status) {
    asio::post(context_, [this, status = std::move(status)] {
      status_ = status;
      context_.stop();
    });
  };
  HONE_ASSIGN_OR_RETURN(session_, AgentSession::Start(std::move(options), std::move(handlers)));
  cache_ = std::make_unique<ArtifactCache>(
      *code_, std::make_unique<BlobClient>([this] { return session_->channel(); }));
  if (spool_.has_value()) {
    for (pb::ReportRequest& report : spool_->Load()) {
      for (const auto& device : devices_) {
        if (device->name() == report.device()) device->HoldReported(report);
      }
      session_->Report(std::move(report));
    }
  }
  PublishState();
  for (const auto& device : devices_) device->Go();
  return absl::OkStatus();
}

void Agent::OnOrders(const pb::AgentOrders& orders) {
  for (const pb::DeviceOrders& entry : orders.devices()) {
    for (const auto& device : devices_) {
      if (device->name() == entry.device()) device->Take(entry);
    }
  }
}

void Agent::OnLink(const std::string& tracker, const Status& status) {
  if (!status.ok()) {
    log_.Write(Event::kLinkDown, {{"tracker", tracker}, {"why", status.message()}});
    return;
  }
  log_.Write(Event::kLinkUp, {{"tracker", tracker}});
  for (const auto& device : devices_) device->OnLink();
}

void Agent::Report(pb::ReportRequest report) {
  report.set_agent(options_.name);
  if (spool_.has_value()) {
    if (const Status status = spool_->Add(report); !status.ok())
      log_.Write(Event::kSpoolFailed, {{"why", status.message()}});
  }
  session_->Report(std::move(report));
}

void Agent::OnSettled(const std::string& attempt_id, const pb::ReportReply& reply) {
  if (reply.outcome() != pb::RECORDED) {
    log_.Write(Event::kReportUncounted, {{"attempt", attempt_id}, {"why", reply.message()}});
  }
  for (const auto& device : devices_) device->Settle(attempt_id);
  if (spool_.has_value()) spool_->Remove(attempt_id);
}

void Agent::PublishState() {
  if (publishing_) return;
  publishing_ = true;
  asio::post(context_, [this] {
    publishing_ = false;
    pb::AgentState state;
    for (const auto& device : devices_) device->Describe(*state.add_devices());
    session_->SetState(std::move(state));
  });
}

}  // namespace hone

#include "device_agent/agent.h"

#include <spdlog/spdlog.h>

#include <boost/asio/post.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/farm.pb.h"

namespace hone {
namespace {

namespace asio = boost::asio;

std::string Summary(const pb::BatchResult& result) {
  int right = 0;
  double best_ns = 0;
  for (const pb::Measurement& measurement : result.measurements()) {
    if (measurement.failure() != pb::OK) continue;
    ++right;
    if (best_ns <= 0 || measurement.cost_ns() < best_ns) best_ns = measurement.cost_ns();
  }
  return absl::StrCat(right, " of ", result.measurements_size(), " candidates ran, best ",
                      best_ns / 1e3, " us", result.error().empty() ? "" : "; ", result.error());
}

}  // namespace

StatusOr<std::unique_ptr<Agent>> Agent::Start(asio::io_context& context, const Clock& clock,
                                              AgentOptions options) {
  std::unique_ptr<Agent> agent(new Agent(context, clock, std::move(options)));
  if (!agent->options_.spool_folder.empty()) {
    HONE_ASSIGN_OR_RETURN(agent->spool_, ReportSpool::Open(agent->options_.spool_folder));
  }
  // The worker first: it must exist before any gRPC object does.
  HONE_ASSIGN_OR_RETURN(agent->worker_,
                        MeasuringWorker::Start(context, agent->options_.worker_program));
  HONE_RETURN_IF_ERROR(agent->Connect());
  return agent;
}

Agent::Agent(asio::io_context& context, const Clock& clock, AgentOptions options)
    : context_(context), clock_(clock), options_(std::move(options)) {}

Agent::~Agent() { session_.reset(); }

Status Agent::Connect() {
  AgentSessionOptions options;
  options.tracker = options_.tracker;
  options.agent = options_.device.name();
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
  handlers.on_link = [this](const Status& status) {
    if (status.ok()) {
      spdlog::info("connected to the tracker at {}", options_.tracker);
    } else {
      spdlog::warn("not connected to the tracker at {}: {}", options_.tracker,
                   std::string(status.message()));
    }
  };
  handlers.on_refused = [this](Status status) {
    asio::post(context_, [this, status = std::move(status)] {
      status_ = status;
      context_.stop();
    });
  };
  HONE_ASSIGN_OR_RETURN(session_, AgentSession::Start(std::move(options), std::move(handlers)));
  if (spool_.has_value()) {
    for (pb::ReportRequest& report : spool_->Load()) {
      assignments_.HoldReported(report.attempt_id(), report.batch_id());
      session_->Report(std::move(report));
    }
  }
  PublishState();
  return absl::OkStatus();
}

void Agent::OnOrders(const pb::AgentOrders& orders) {
  for (const pb::DeviceOrders& device : orders.devices()) {
    if (device.device() != options_.device.name()) continue;
    pb::DeviceStatus before, after;
    assignments_.Describe(before);
    if (assignments_.Apply(device)) {
      spdlog::info("a batch was withdrawn while it was being measured");
      worker_->Cancel();
    }
    assignments_.Describe(after);
    if (before.SerializeAsString() != after.SerializeAsString()) PublishState();
    RunNext();
  }
}

void Agent::RunNext() {
  const std::optional<pb::Grant> grant = assignments_.StartNext();
  if (!grant.has_value()) return;
  PublishState();
  worker_->Measure(grant->batch(),
                   [this](pb::BatchResult result) { OnMeasured(std::move(result)); });
}

void Agent::OnMeasured(pb::BatchResult result) {
  const std::optional<pb::Grant> grant = assignments_.FinishRunning();
  if (!grant.has_value()) return;
  result.set_batch_id(grant->batch_id());
  for (pb::Measurement& measurement : *result.mutable_measurements())
    measurement.set_device(options_.device.name());
  result.mutable_reference()->set_device(options_.device.name());
  spdlog::info("batch {}: {}", grant->batch_id(), Summary(result));
  pb::ReportRequest report =
      MakeReport(options_.device.name(), assignments_.epoch(), *grant, std::move(result));
  report.set_agent(options_.device.name());
  if (spool_.has_value()) {
    if (const Status status = spool_->Add(report); !status.ok())
      spdlog::warn("{}", std::string(status.message()));
  }
  session_->Report(std::move(report));
  PublishState();
  RunNext();
}

void Agent::OnSettled(const std::string& attempt_id, const pb::ReportReply& reply) {
  if (reply.outcome() != pb::RECORDED) spdlog::info("a report does not count: {}", reply.message());
  assignments_.Settle(attempt_id);
  if (spool_.has_value()) spool_->Remove(attempt_id);
  PublishState();
}

void Agent::PublishState() {
  pb::AgentState state;
  pb::DeviceStatus& device = *state.add_devices();
  *device.mutable_info() = options_.device;
  device.mutable_info()->set_state(assignments_.running() ? pb::BUSY : pb::READY);
  device.mutable_info()->set_last_seen_unix_ms(clock_.UnixMillis());
  assignments_.Describe(device);
  session_->SetState(std::move(state));
}

}  // namespace hone

#include "tracker/build_service.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "rpc/build_key.h"
#include "rpc/grpc_status.h"
#include "rpc/identity.h"
#include "tracker/finish_call.h"
#include "tracker/wire_rules.h"

namespace hone {
namespace {

constexpr int64_t kNanosPerMilli = 1'000'000;
constexpr int64_t kClientWaitMaxMs = 60'000;

}  // namespace

Status BuildService::CheckOpen() const {
  if (!closed_) return absl::OkStatus();
  return absl::UnavailableError("the tracker is shutting down; try again");
}

grpc::ServerUnaryReactor* BuildService::Build(grpc::CallbackServerContext* context,
                                              const pb::BuildsRequest* request,
                                              pb::BuildsReply* reply) {
  auto* reactor = new WaitingCall;
  reactor->EndWith([this, reactor] { GiveUp(reactor); });
  const StatusOr<Identity> peer = PeerOf(*context->auth_context());
  if (!peer.ok()) {
    reactor->Finish(ToGrpc(peer.status()));
    return reactor;
  }
  pb::BuildsRequest asked = *request;
  asked.set_user(UserOf(*peer, request->user()));
  std::vector<std::string> keys(request->waiting().begin(), request->waiting().end());
  for (const pb::BuildRequest& build : request->builds()) {
    keys.push_back(BuildKey(build, request->version()));
  }
  absl::MutexLock lock(&mutex_);
  Status status = CheckOpen();
  if (status.ok()) status = state_.Ask(asked, clock_.MonotonicNanos());
  if (!status.ok()) {
    reactor->Finish(ToGrpc(status));
    return reactor;
  }
  Park(std::clamp<int64_t>(request->wait_ms(), 0, kClientWaitMaxMs),
       {.call = reactor,
        .answer =
            [this, reactor, reply, keys = std::move(keys)](bool last) {
              mutex_.AssertHeld();
              pb::BuildsReply now = DoneOf(keys);
              if (!last && now.done().empty() && now.unknown().empty()) return false;
              *reply = std::move(now);
              reactor->Finish(grpc::Status::OK);
              return true;
            },
        .fail = [reactor](const Status& why) { reactor->Finish(ToGrpc(why)); }});
  return reactor;
}

grpc::ServerUnaryReactor* BuildService::Work(grpc::CallbackServerContext* context,
                                             const pb::BuilderState* state,
                                             pb::BuilderOrders* orders) {
  auto* reactor = new WaitingCall;
  reactor->EndWith([this, reactor] { GiveUp(reactor); });
  const StatusOr<Identity> peer = PeerOf(*context->auth_context());
  absl::MutexLock lock(&mutex_);
  Status status = CheckOpen();
  if (status.ok()) status = peer.ok() ? CheckSpeaksFor(*peer, state->builder()) : peer.status();
  if (status.ok()) status = CheckBuilderState(*state);
  if (status.ok()) status = state_.TakeState(*state, clock_.MonotonicNanos());
  if (!status.ok()) {
    reactor->Finish(ToGrpc(status));
    return reactor;
  }
  for (const pb::BuiltReply& built : state->finished()) orders->add_acknowledged(built.key());
  if (state->capacity() == 0) {
    reactor->Finish(grpc::Status::OK);
    AnswerParked();  // what it handed back
    return reactor;
  }
  Park(std::clamp<int64_t>(state->wait_ms(), 0, builder_wait_max_ms_),
       {.call = reactor,
        .answer =
            [this, reactor, orders, name = state->builder()](bool last) {
              mutex_.AssertHeld();
              std::vector<pb::BuildGrant> grants = state_.GrantsOf(name, clock_.MonotonicNanos());
              if (!last && grants.empty() && orders->acknowledged().empty()) return false;
              for (pb::BuildGrant& grant : grants) *orders->add_grants() = std::move(grant);
              reactor->Finish(grpc::Status::OK);
              return true;
            },
        .fail = [reactor](const Status& why) { reactor->Finish(ToGrpc(why)); }});
  return reactor;
}

grpc::ServerUnaryReactor* BuildService::ListBuilders(grpc::CallbackServerContext* context,
                                                     const pb::ListBuildersRequest* request,
                                                     pb::ListBuildersReply* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  absl::MutexLock lock(&mutex_);
  *reply = state_.List(clock_.MonotonicNanos());
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

void BuildService::AddTo(const pb::SnapshotRequest& request, pb::FarmSnapshot* snapshot) {
  absl::MutexLock lock(&mutex_);
  pb::ListBuildersReply list = state_.List(clock_.MonotonicNanos());
  snapshot->set_queued_builds(list.queued_builds());
  for (pb::BuilderInfo& builder : *list.mutable_builders()) {
    if (snapshot->builders_size() >= request.builders_max()) break;
    *snapshot->add_builders() = std::move(builder);
  }
}

pb::BuildsReply BuildService::DoneOf(const std::vector<std::string>& keys) {
  pb::BuildsReply reply = state_.DoneOf(keys);
  std::vector<std::string> lost;
  for (const pb::BuiltReply& done : reply.done()) {
    const std::string& digest = done.reply().artifact().code_digest();
    if (done.reply().has_artifact() && !blobs_.Missing({digest}).empty()) {
      lost.push_back(done.key());
    }
  }
  for (const std::string& key : lost) state_.Forget(key);
  return lost.empty() ? reply : state_.DoneOf(keys);
}

void BuildService::Park(int64_t wait_ms, Parked parked) {
  parked.deadline_ns = clock_.MonotonicNanos() + wait_ms * kNanosPerMilli;
  parked_.push_back(std::move(parked));
  AnswerParked();
}

void BuildService::GiveUp(const grpc::ServerUnaryReactor* call) {
  absl::MutexLock lock(&mutex_);
  std::erase_if(parked_, [&](const Parked& parked) {
    if (parked.call != call) return false;
    parked.fail(absl::CancelledError("nobody waits any more"));
    return true;
  });
}

void BuildService::AnswerParked() {
  const int64_t now_ns = clock_.MonotonicNanos();
  std::erase_if(parked_,
                [&](const Parked& parked) { return parked.answer(now_ns >= parked.deadline_ns); });
}

void BuildService::Tick() {
  std::vector<pb::BuiltReply> unsaved;
  {
    absl::MutexLock lock(&mutex_);
    state_.Tick(clock_.MonotonicNanos());
    AnswerParked();
    unsaved = state_.TakeUnsaved();
  }
  // Nobody waits for it, and what could not be written is built again.
  if (!unsaved.empty()) store_.SaveBuilds(unsaved).IgnoreError();
}

void BuildService::ShutDown() {
  absl::MutexLock lock(&mutex_);
  closed_ = true;
  for (const Parked& parked : parked_) parked.fail(CheckOpen());
  parked_.clear();
}

int64_t BuildService::waiting() {
  absl::MutexLock lock(&mutex_);
  return static_cast<int64_t>(parked_.size());
}

}  // namespace hone

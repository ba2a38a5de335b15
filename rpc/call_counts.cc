#include "rpc/call_counts.h"

#include <grpcpp/server_context.h>

#include <utility>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

using grpc::experimental::Interceptor;
using grpc::experimental::InterceptorBatchMethods;
using grpc::experimental::ServerRpcInfo;

// Lives as long as its call.
class CallCounter : public Interceptor {
 public:
  CallCounter(CallCounts& counts, ServerRpcInfo* info) : counts_(counts), info_(info) {}
  ~CallCounter() override {
    if (counted_) counts_.End(peer_);
  }

  // The first thing that comes of a call.
  void Intercept(InterceptorBatchMethods* methods) override {
    if (!counted_) {
      const auto peer = PeerOf(*info_->server_context()->auth_context());
      if (peer.ok() && !peer->local) {
        peer_ = *peer;
        counted_ = true;
        counts_.Begin(peer_);
      }
    }
    methods->Proceed();
  }

 private:
  CallCounts& counts_;
  ServerRpcInfo* const info_;
  Identity peer_;
  bool counted_ = false;
};

class CallCounters : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit CallCounters(CallCounts& counts) : counts_(counts) {}
  Interceptor* CreateServerInterceptor(ServerRpcInfo* info) override {
    return new CallCounter(counts_, info);
  }

 private:
  CallCounts& counts_;
};

}  // namespace

Status CallCounts::Check(const Identity& peer) const {
  absl::MutexLock lock(&mutex_);
  const auto calls = calls_.find(peer.ToString());
  if (calls == calls_.end() || calls->second < per_identity_max_) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      peer.ToString(), " has ", calls->second, " calls under way at the tracker, and ",
      per_identity_max_,
      " are allowed: end some, join under several names, or raise hone-tracker --member-calls"));
}

void CallCounts::Begin(const Identity& peer) {
  absl::MutexLock lock(&mutex_);
  ++calls_[peer.ToString()];
}

void CallCounts::End(const Identity& peer) {
  absl::MutexLock lock(&mutex_);
  const auto calls = calls_.find(peer.ToString());
  if (--calls->second == 0) calls_.erase(calls);
}

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeCallCounters(
    CallCounts& counts) {
  return std::make_unique<CallCounters>(counts);
}

}  // namespace hone

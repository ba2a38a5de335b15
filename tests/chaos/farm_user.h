// FarmUser: a person's program on a farm in trouble: keeps some batches on their way, now and then
// cancels one, and writes down what it was told of each. Used by chaos. Never gives up on a batch.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>

#include "proto/batch.pb.h"
#include "rpc/farm_client.h"
#include "tests/chaos/history_log.h"

namespace hone {

struct FarmUserOptions {
  std::string name;
  FarmClientOptions farm;
  uint64_t seed = 1;
  int outstanding_max = 8;
  double cancels = 0.1;  // share of the batches that it cancels
  // Submits at most so many a second; 0: as many as come back.
  double batches_per_s = 0;
  // What it wants measured next; from its thread.
  std::function<pb::Batch(std::mt19937& random)> next_batch;
};

class FarmUser {
 public:
  // Begins at once. The log must outlive it.
  FarmUser(FarmUserOptions options, HistoryLog& log);
  ~FarmUser();

  // Submits nothing more.
  void Finish() { finishing_ = true; }
  // Has all that it wanted, after Finish.
  bool done() const { return done_; }

  int64_t submitted() const { return submitted_; }
  int64_t refused() const { return refused_; }
  int64_t fetched() const { return fetched_; }
  int64_t cancelled() const { return cancelled_; }
  // What its client is called in the tracker: its batches begin with it. "" until it is connected.
  std::string client_id() const;

 private:
  void Run();
  void Submit();
  void CancelOne();
  void Fetch();

  const FarmUserOptions options_;
  HistoryLog& log_;
  std::mt19937 random_;
  std::unique_ptr<FarmClient> client_;
  int64_t calls_ = 0;                    // of Submit: the client numbers its batches
  std::map<std::string, bool> waiting_;  // batch -> whether it was cancelled
  absl::Time next_submit_ = absl::InfinitePast();

  mutable absl::Mutex mutex_;
  std::string client_id_ ABSL_GUARDED_BY(mutex_);
  std::atomic<bool> finishing_ = false, stopping_ = false, done_ = false;
  std::atomic<int64_t> submitted_ = 0, refused_ = 0, fetched_ = 0, cancelled_ = 0;
  std::thread thread_;
};

}  // namespace hone

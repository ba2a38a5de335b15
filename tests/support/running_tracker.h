// A tracker in the test's own process, for which time goes by. Used by tests that speak to one over
// gRPC; it can be stopped and started anew on the same store, as often as a test likes.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "db/farm_database.h"
#include "tests/support/scratch_folder.h"
#include "tracker/tracker_server.h"

namespace hone {

class RunningTracker {
 public:
  // Listens on a unix socket and keeps blobs in a folder of its own, unless the options say
  // otherwise. `store` must outlive it.
  explicit RunningTracker(FarmDatabase& store, TrackerOptions options = {})
      : store_(store), options_(std::move(options)) {
    if (options_.listen.empty()) options_.listen = absl::StrCat("unix:", folder_ / "t");
    if (options_.blobs.folder.empty()) options_.blobs.folder = folder_ / "blobs";
    Start();
  }
  ~RunningTracker() { Stop(); }

  void Start() {
    auto server = TrackerServer::Start(options_, store_, clock_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    ticking_ = true;
    ticker_ = std::thread([this] {
      while (ticking_) {
        server_->Tick();
        absl::SleepFor(absl::Milliseconds(10));
      }
    });
  }
  // Nothing if it does not run.
  void Stop() {
    ticking_ = false;
    if (ticker_.joinable()) ticker_.join();
    server_.reset();
  }

  const std::string& address() const { return options_.listen; }
  // Where its blobs are.
  const std::string& blobs() const { return options_.blobs.folder; }
  TrackerServer& server() { return *server_; }

 private:
  FarmDatabase& store_;
  const ScratchFolder folder_;
  TrackerOptions options_;
  const SystemClock clock_;
  std::unique_ptr<TrackerServer> server_;
  std::atomic<bool> ticking_ = false;
  std::thread ticker_;
};

}  // namespace hone

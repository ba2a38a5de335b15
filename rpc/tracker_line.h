// TrackerLine: the connection of a client to a farm's trackers, of which one leads: the one that
// works, or that another names. Every client of rpc/ but the agent's session calls over it (see
// tracker_call.h); it makes no calls itself.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "rpc/tracker_list.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace hone {

// "A,B" as addresses. InvalidArgument, naming it, if one is none (rpc/address.h), or leaves this
// machine although there are no certificates.
StatusOr<std::vector<std::string>> ParseTrackers(absl::string_view trackers, bool has_tls);

class TrackerLine {
 public:
  // To one of them.
  struct Link {
    std::string tracker;
    std::shared_ptr<grpc::Channel> channel;
  };

  // `trackers`: "unix:/path" or "host:port", or several with commas; `tls_dir` as MakeChannel has
  // it. Connects lazily. Errors as MakeChannel's.
  static StatusOr<std::shared_ptr<TrackerLine>> Open(const std::string& trackers,
                                                     const std::string& tls_dir);

  // Where to call now.
  std::shared_ptr<const Link> link() const ABSL_LOCKS_EXCLUDED(mutex_);
  std::shared_ptr<grpc::Channel> channel() const { return link()->channel; }
  // What came of a call over `link`. After an error that is about the tracker, not about the call,
  // the line leads to another tracker, if there is one: then the result is Unavailable.
  Status Heard(const Link& link, const Status& status) ABSL_LOCKS_EXCLUDED(mutex_);
  // The same of a call that its caller did not cancel: then it was the tracker, which shuts down.
  Status HeardOfUncancelled(const Link& link, const Status& status) ABSL_LOCKS_EXCLUDED(mutex_);

  // Waits until there is a connection to one of them, and says whether there is. gRPC's blocking
  // interface makes progress with a broken connection only while somebody waits so.
  bool WaitForConnected(absl::Time deadline) ABSL_LOCKS_EXCLUDED(mutex_);
  // Lets time pass, while a connection comes about.
  void Pause(absl::Duration duration) ABSL_LOCKS_EXCLUDED(mutex_);

  // As was given.
  const std::string& trackers() const { return trackers_; }
  bool has_several() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  TrackerLine(std::string trackers, std::string tls_dir, std::vector<std::string> addresses);
  void MoveOn(const Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string trackers_;
  const std::string tls_dir_;
  mutable absl::Mutex mutex_;
  TrackerList list_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const Link> link_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace hone

// Builder: the part of an agent that compiles for the farm (hone-agent --build): build workers, and
// a session that brings them work. The agent links no compiler: the workers are processes of their
// own, which know all targets.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "base/event_log.h"
#include "base/status.h"
#include "rpc/build_pool.h"
#include "rpc/builder_session.h"

namespace hone {

struct BuilderSettings {
  std::string tracker;  // "unix:/path" or "host:port"
  std::string tls_dir;  // of certificates (rpc/credentials.h)
  std::string name;
  uint64_t boot = 0;    // rises with every start
  int workers = 1;      // builds at a time
  std::string program;  // path of hone-build-worker
};

class Builder {
 public:
  // Starts a worker at once, so that one that cannot run is known early. `context` and
  // `log` must outlive the builder; `context` is stopped when the tracker refuses it; status() then
  // says why.
  static StatusOr<std::unique_ptr<Builder>> Start(boost::asio::io_context& context,
                                                  const BuilderSettings& settings,
                                                  const EventLog& log);
  // Ends the builds under way.
  ~Builder();

  const Status& status() const { return status_; }

  // Of its session (rpc/builder_session.h).
  bool IsIdle() const { return session_->IsIdle(); }
  uint64_t taken() const { return session_->taken(); }
  bool HandBack(absl::Duration timeout) { return session_->HandBack(timeout); }

 private:
  Builder() = default;

  Status status_;  // changed in the io_context
  std::unique_ptr<BuildPool> pool_;
  std::unique_ptr<BuilderSession> session_;
};

}  // namespace hone

// What the farm's page answers to a request, once its bytes are read: a function of the request and
// of the farm, without connections. Used by web_server.cc; changes nothing.
#pragma once

#include <functional>
#include <string>

#include "absl/strings/string_view.h"
#include "base/status.h"
#include "proto/snapshot.pb.h"

namespace hone {

// Called on the server's thread.
struct WebSource {
  std::function<pb::FarmSnapshot(const pb::SnapshotRequest&)> snapshot;
  std::function<Status()> health;
};

struct WebQuestion {
  absl::string_view method;  // "GET"
  absl::string_view target;  // "/metrics?x"
  absl::string_view host;    // that it names
  bool tcp = false;  // in plain text over TCP, so perhaps from a browser with other pages open
};

struct WebAnswer {
  int status = 200;
  std::string type = "text/plain; charset=utf-8";
  std::string body;
  bool is_stream = false;  // updates without end, instead of the body
};

// The method whose permission (rpc/permissions.h) it takes to see what is at `target`.
absl::string_view MethodBehind(absl::string_view target);

WebAnswer AnswerTo(const WebQuestion& question, const WebSource& source);

// What the page shows at most.
pb::SnapshotRequest PageRequest();
std::string SnapshotJson(const pb::FarmSnapshot& snapshot);

}  // namespace hone

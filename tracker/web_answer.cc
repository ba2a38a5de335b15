#include "tracker/web_answer.h"

#include <google/protobuf/util/json_util.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tracker/farm_page.h"
#include "tracker/metrics.h"

namespace hone {
namespace {

absl::string_view PathOf(absl::string_view target) { return target.substr(0, target.find('?')); }

// A page of another site whose name leads to this machine must not read the farm.
bool IsLocalHost(absl::string_view host) {
  absl::string_view name = host;
  if (absl::StartsWith(name, "[")) {
    name = name.substr(0, name.find(']') + 1);
  } else {
    name = name.substr(0, name.rfind(':'));
  }
  return name == "localhost" || name == "127.0.0.1" || name == "[::1]";
}

pb::SnapshotRequest MetricsRequest() {
  pb::SnapshotRequest request;
  request.set_queue_max(1'000);
  request.set_users_max(kMetricUsersMax);
  request.set_builders_max(1'000);
  return request;
}

WebAnswer PageAt(absl::string_view path, const WebSource& source) {
  if (path == "/") return {.type = "text/html; charset=utf-8", .body = kFarmPage};
  if (path == "/snapshot.json") {
    return {.type = "application/json", .body = SnapshotJson(source.snapshot(PageRequest()))};
  }
  if (path == "/metrics") {
    return {.type = "text/plain; version=0.0.4; charset=utf-8",
            .body = MetricsText(source.snapshot(MetricsRequest()))};
  }
  if (path == "/healthz") return {.body = "ok\n"};
  if (path == "/readyz") {
    const Status health = source.health();
    if (health.ok()) return {.body = "ok\n"};
    return {.status = 503, .body = absl::StrCat(health.message(), "\n")};
  }
  return {.status = 404, .body = "no such page; see /\n"};
}

}  // namespace

pb::SnapshotRequest PageRequest() {
  pb::SnapshotRequest request;
  request.set_devices_max(500);
  request.set_queue_max(50);
  request.set_users_max(50);
  request.set_curves_max(24);
  request.set_jobs_max(20);
  request.set_builders_max(100);
  return request;
}

std::string SnapshotJson(const pb::FarmSnapshot& snapshot) {
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(snapshot, &json);
  return status.ok() ? json : "{}";
}

absl::string_view MethodBehind(absl::string_view target) {
  const absl::string_view path = PathOf(target);
  return path == "/healthz" || path == "/readyz" ? "/grpc.health.v1.Health/Check"
                                                 : "/hone.pb.Farm/Snapshot";
}

WebAnswer AnswerTo(const WebQuestion& question, const WebSource& source) {
  const bool head = question.method == "HEAD";
  if (!head && question.method != "GET") return {.status = 405, .body = "only GET and HEAD\n"};
  if (question.tcp && !IsLocalHost(question.host)) {
    return {.status = 421, .body = "ask for localhost: this page is for this machine only\n"};
  }
  const absl::string_view path = PathOf(question.target);
  if (path == "/events" && !head) return {.is_stream = true};
  return PageAt(path, source);
}

}  // namespace hone

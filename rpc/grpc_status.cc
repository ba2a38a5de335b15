#include "rpc/grpc_status.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "rpc/tracker_list.h"

namespace hone {
namespace {

// Of an error's details: "leader=host:port", or "leader=" when none is known.
constexpr char kLeaderDetail[] = "leader=";

}  // namespace

// Both number the canonical codes alike.
static_assert(static_cast<int>(absl::StatusCode::kUnavailable) == grpc::StatusCode::UNAVAILABLE);
static_assert(static_cast<int>(absl::StatusCode::kUnauthenticated) ==
              grpc::StatusCode::UNAUTHENTICATED);

grpc::Status ToGrpc(const Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()),
                      IsNotTheLeader(status) ? absl::StrCat(kLeaderDetail, LeaderOf(status)) : "");
}

Status FromGrpc(const grpc::Status& status) {
  const std::string details = status.error_details();
  absl::string_view leader = details;
  if (absl::ConsumePrefix(&leader, kLeaderDetail)) return NotTheLeader(leader);
  return Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

}  // namespace hone

#include "rpc/tracker_line.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "rpc/address.h"
#include "rpc/channel.h"

namespace hone {
namespace {

// Of several, each is waited for so long before the next has its turn.
constexpr absl::Duration kTurn = absl::Milliseconds(500);

}  // namespace

StatusOr<std::vector<std::string>> ParseTrackers(absl::string_view trackers, bool has_tls) {
  std::vector<std::string> addresses;
  for (absl::string_view address : absl::StrSplit(trackers, ',', absl::SkipWhitespace())) {
    address = absl::StripAsciiWhitespace(address);
    HONE_RETURN_IF_ERROR(CheckAddress(address, has_tls).status());
    addresses.emplace_back(address);
  }
  if (addresses.empty()) return CheckAddress(trackers, has_tls).status();  // says what is wrong
  return addresses;
}

TrackerLine::TrackerLine(std::string trackers, std::string tls_dir,
                         std::vector<std::string> addresses)
    : trackers_(std::move(trackers)), tls_dir_(std::move(tls_dir)), list_(std::move(addresses)) {}

StatusOr<std::shared_ptr<TrackerLine>> TrackerLine::Open(const std::string& trackers,
                                                         const std::string& tls_dir) {
  HONE_ASSIGN_OR_RETURN(std::vector<std::string> addresses,
                        ParseTrackers(trackers, !tls_dir.empty()));
  HONE_ASSIGN_OR_RETURN(std::shared_ptr<grpc::Channel> channel,
                        MakeChannel(addresses.front(), tls_dir));
  Link link = {.tracker = addresses.front(), .channel = std::move(channel)};
  std::shared_ptr<TrackerLine> line(new TrackerLine(trackers, tls_dir, std::move(addresses)));
  absl::MutexLock lock(&line->mutex_);
  line->link_ = std::make_shared<const Link>(std::move(link));
  return line;
}

std::shared_ptr<const TrackerLine::Link> TrackerLine::link() const {
  absl::MutexLock lock(&mutex_);
  return link_;
}

bool TrackerLine::has_several() const {
  absl::MutexLock lock(&mutex_);
  return list_.has_several();
}

Status TrackerLine::Heard(const Link& link, const Status& status) {
  const bool follows = IsNotTheLeader(status);
  if (!follows && !absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status)) return status;
  absl::MutexLock lock(&mutex_);
  if (link_->tracker == link.tracker) MoveOn(status);
  // What the tracker itself says is about the request; only what lies between is about the tracker.
  return Status(follows ? absl::StatusCode::kUnavailable : status.code(),
                absl::StrCat("tracker ", link.tracker, ": ", status.message()));
}

Status TrackerLine::HeardOfUncancelled(const Link& link, const Status& status) {
  if (!absl::IsCancelled(status)) return Heard(link, status);
  return Heard(link, absl::UnavailableError("it ended the call, and shuts down; try again"));
}

void TrackerLine::MoveOn(const Status& status) {
  list_.Failed(status);
  if (list_.current() == link_->tracker) return;
  StatusOr<std::shared_ptr<grpc::Channel>> channel = MakeChannel(list_.current(), tls_dir_);
  if (!channel.ok()) {
    // What was named as the leader is no address that we can use.
    list_.Failed(channel.status());
    channel = MakeChannel(list_.current(), tls_dir_);
  }
  if (!channel.ok()) return;
  link_ = std::make_shared<const Link>(Link{list_.current(), *std::move(channel)});
}

bool TrackerLine::WaitForConnected(absl::Time deadline) {
  while (true) {
    const std::shared_ptr<const Link> now = link();
    const absl::Time turn = has_several() ? std::min(deadline, absl::Now() + kTurn) : deadline;
    if (now->channel->WaitForConnected(absl::ToChronoTime(turn))) return true;
    if (absl::Now() >= deadline) return false;
    Heard(*now, absl::UnavailableError("no connection")).IgnoreError();
  }
}

void TrackerLine::Pause(absl::Duration duration) {
  const absl::Time end = absl::Now() + duration;
  if (WaitForConnected(end)) absl::SleepFor(end - absl::Now());
}

}  // namespace hone

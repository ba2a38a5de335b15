#include "tracker/build_state.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "rpc/build_key.h"

namespace hone {
namespace {

// Whether another try could end otherwise.
bool IsOfTheMoment(const pb::BuildReply& reply) {
  return reply.has_failure() && reply.failure().failure() != pb::COMPILE_ERROR;
}

}  // namespace

// --- Clients

Status BuildState::Ask(const pb::BuildsRequest& request, int64_t now_ns) {
  const bool any = std::any_of(builders_.begin(), builders_.end(), [&](const auto& entry) {
    return IsSameVersion(entry.second.version, request.version());
  });
  if (!any) {
    std::vector<std::string> others;
    for (const auto& [name, builder] : builders_) {
      others.push_back(absl::StrCat(name, " is of ", VersionText(builder.version)));
    }
    return absl::FailedPreconditionError(absl::StrCat(
        "no builder of version ", VersionText(request.version()), ": ",
        others.empty() ? "there is none; start hone-agent --build" : absl::StrJoin(others, "; ")));
  }
  for (const std::string& key : request.waiting()) {
    const auto build = builds_.find(key);
    if (build != builds_.end()) build->second.asked_ns = now_ns;
  }
  for (const pb::BuildRequest& asked : request.builds()) {
    const std::string key = BuildKey(asked, request.version());
    const auto known = builds_.find(key);
    if (known != builds_.end() && !(known->second.reply && IsOfTheMoment(*known->second.reply))) {
      known->second.asked_ns = now_ns;
      if (known->second.reply) done_.splice(done_.end(), done_, known->second.use);
      continue;
    }
    if (known != builds_.end()) Forget(key);
    while (builds_.size() >= limits_.known_max && !done_.empty()) Forget(done_.front());
    if (builds_.size() >= limits_.known_max) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the tracker has ", limits_.known_max, " builds already; wait for some"));
    }
    Build& build = builds_[key];
    build.request = asked;
    build.version = request.version();
    build.user = request.user();
    build.asked_ns = now_ns;
    Queue(key, /*first=*/false);
  }
  return absl::OkStatus();
}

pb::BuildsReply BuildState::DoneOf(const std::vector<std::string>& keys) const {
  pb::BuildsReply reply;
  for (const std::string& key : keys) {
    const auto build = builds_.find(key);
    if (build == builds_.end()) {
      reply.add_unknown(key);
    } else if (build->second.reply) {
      pb::BuiltReply& done = *reply.add_done();
      done.set_key(key);
      *done.mutable_reply() = *build->second.reply;
    }
  }
  return reply;
}

void BuildState::Forget(const std::string& key) {
  const auto build = builds_.find(key);
  if (build == builds_.end() || !build->second.reply) return;
  done_.erase(build->second.use);
  builds_.erase(build);
}

// --- Builders

Status BuildState::TakeState(const pb::BuilderState& state, int64_t now_ns) {
  Builder& builder = builders_[state.builder()];
  if (state.boot() < builder.boot) {
    return absl::AbortedError(absl::StrCat("another builder named ", state.builder(),
                                           " was started later; give one of them another name"));
  }
  if (state.boot() > builder.boot) {
    for (const std::string& key : std::exchange(builder.given, {})) {
      Lose(key, absl::StrCat(state.builder(), " was started again"));
    }
  }
  if (state.capacity() == 0) {
    for (const pb::BuiltReply& built : state.finished()) TakeReply(state.builder(), built);
    HandBack(state.builder());
    return absl::OkStatus();
  }
  builder.boot = state.boot();
  builder.capacity = std::max(state.capacity(), 1);
  builder.version = state.version();
  builder.seen_ns = now_ns;
  builder.held.clear();
  for (const std::string& key : state.held()) {
    builder.held.insert(key);
    // It was silent for a while and kept at it: nobody else needs to.
    const auto build = builds_.find(key);
    if (build == builds_.end() || build->second.reply || !build->second.builder.empty()) continue;
    build->second.builder = state.builder();
    builder.given.insert(key);
  }
  for (const pb::BuiltReply& built : state.finished()) TakeReply(state.builder(), built);
  return absl::OkStatus();
}

// No loss of the builds: nobody tried them in vain.
void BuildState::HandBack(const std::string& builder) {
  const auto found = builders_.find(builder);
  const std::set<std::string> given = std::move(found->second.given);
  builders_.erase(found);
  for (const std::string& key : given) {
    const auto build = builds_.find(key);
    if (build == builds_.end() || build->second.reply) continue;
    build->second.builder.clear();
    Queue(key, /*first=*/true);
  }
}

void BuildState::TakeReply(const std::string& builder, const pb::BuiltReply& built) {
  builders_[builder].given.erase(built.key());
  const auto build = builds_.find(built.key());
  if (build == builds_.end() || build->second.reply) return;
  const pb::FailureKind failure = built.reply().failure().failure();
  if (failure != pb::INFRA && failure != pb::CANCELLED) return Finish(built.key(), built.reply());
  if (build->second.builder != builder) return;  // another is at it
  Lose(built.key(), absl::StrCat(builder, ": ", built.reply().failure().message()));
}

void BuildState::Restore(std::vector<pb::BuiltReply> builds) {
  for (pb::BuiltReply& built : builds) {
    Finish(built.key(), std::move(*built.mutable_reply()));
  }
  unsaved_.clear();
}

void BuildState::Finish(const std::string& key, pb::BuildReply reply) {
  Build& build = builds_[key];
  if (!IsOfTheMoment(reply)) {
    pb::BuiltReply& built = unsaved_.emplace_back();
    built.set_key(key);
    *built.mutable_reply() = reply;
  }
  if (!build.builder.empty()) builders_[build.builder].given.erase(key);
  build.builder.clear();
  build.reply = std::move(reply);
  build.use = done_.insert(done_.end(), key);
}

void BuildState::Lose(const std::string& key, const std::string& why) {
  const auto found = builds_.find(key);
  if (found == builds_.end() || found->second.reply) return;
  Build& build = found->second;
  build.builder.clear();
  if (++build.losses <= limits_.losses_max) return Queue(key, /*first=*/true);
  pb::BuildReply reply;
  reply.mutable_failure()->set_failure(pb::INFRA);
  reply.mutable_failure()->set_message(
      absl::StrCat("given up: its builder was lost ", build.losses, " times, at last ", why));
  Finish(key, std::move(reply));
}

void BuildState::Queue(const std::string& key, bool first) {
  std::deque<std::string>& queue = queues_[builds_[key].user];
  if (first) {
    queue.push_front(key);
  } else {
    queue.push_back(key);
  }
}

// Users take turns.
std::optional<std::string> BuildState::TakeFor(const Builder& builder, int64_t now_ns) {
  auto user = queues_.upper_bound(served_);
  for (size_t tried = queues_.size(); tried > 0; --tried) {
    if (user == queues_.end()) user = queues_.begin();
    std::deque<std::string>& queue = user->second;
    for (auto key = queue.begin(); key != queue.end();) {
      const auto build = builds_.find(*key);
      const bool waits =
          build != builds_.end() && !build->second.reply && build->second.builder.empty();
      if (waits && now_ns - build->second.asked_ns > limits_.asked_ttl_ns) builds_.erase(build);
      if (!waits || !builds_.contains(*key)) {
        key = queue.erase(key);
        continue;
      }
      if (!IsSameVersion(build->second.version, builder.version)) {
        ++key;
        continue;
      }
      std::string taken = std::move(*key);
      served_ = user->first;
      queue.erase(key);
      if (queue.empty()) queues_.erase(user);
      return taken;
    }
    user = queue.empty() ? queues_.erase(user) : std::next(user);
  }
  return std::nullopt;
}

std::vector<pb::BuildGrant> BuildState::GrantsOf(const std::string& name, int64_t now_ns) {
  const auto known = builders_.find(name);
  if (known == builders_.end()) return {};  // it went, or is silent
  Builder& builder = known->second;
  const auto most = static_cast<size_t>(limits_.ahead) * static_cast<size_t>(builder.capacity);
  // It kept at more, and no longer does: others may have that.
  for (auto key = builder.given.begin();
       key != builder.given.end() && builder.given.size() > most;) {
    if (builder.held.contains(*key)) {
      ++key;
      continue;
    }
    builds_[*key].builder.clear();
    Queue(*key, /*first=*/true);
    key = builder.given.erase(key);
  }
  while (builder.given.size() < most) {
    const std::optional<std::string> key = TakeFor(builder, now_ns);
    if (!key) break;
    builds_[*key].builder = name;
    builder.given.insert(*key);
  }
  std::vector<pb::BuildGrant> grants;
  for (const std::string& key : builder.given) {
    if (builder.held.contains(key)) continue;
    pb::BuildGrant& grant = grants.emplace_back();
    grant.set_key(key);
    *grant.mutable_request() = builds_[key].request;
  }
  return grants;
}

void BuildState::Tick(int64_t now_ns) {
  for (auto entry = builders_.begin(); entry != builders_.end();) {
    auto& [name, builder] = *entry;
    if (now_ns - builder.seen_ns <= limits_.builder_ttl_ns) {
      ++entry;
      continue;
    }
    const std::set<std::string> lost = std::exchange(builder.given, {});
    const std::string why = absl::StrCat(name, ", which is silent");
    entry = builders_.erase(entry);
    for (const std::string& key : lost) Lose(key, why);
  }
}

pb::ListBuildersReply BuildState::List(int64_t now_ns) const {
  pb::ListBuildersReply list;
  for (const auto& [name, builder] : builders_) {
    pb::BuilderInfo& info = *list.add_builders();
    info.set_name(name);
    info.set_capacity(builder.capacity);
    *info.mutable_version() = builder.version;
    info.set_building(static_cast<int>(builder.given.size()));
    info.set_silent_ms((now_ns - builder.seen_ns) / 1'000'000);
  }
  int64_t queued = 0;
  for (const auto& [user, queue] : queues_) queued += static_cast<int64_t>(queue.size());
  list.set_queued_builds(queued);
  return list;
}

}  // namespace hone

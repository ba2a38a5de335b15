// Builders and clients before the tracker's mind about builds, in any order, legal or not: what was
// built stays what it is, and nobody is given more than twice what they offer beside what they
// hold.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "rpc/build_key.h"
#include "tracker/build_state.h"
#include "tracker/wire_rules.h"

namespace hone {
namespace {

constexpr int kEventsMax = 200;
constexpr int64_t kSecond = 1'000'000'000;
constexpr size_t kKnownMax = 8;
constexpr int kBuilds = 12;

class Builds {
 public:
  explicit Builds(FuzzedDataProvider& input) : input_(input) {}

  void Run() {
    for (int i = 0; i < kEventsMax && input_.remaining_bytes() > 0; ++i) {
      switch (Pick(6)) {
        case 0:
        case 1:
          Ask();
          break;
        case 2:
        case 3:
        case 4:
          Work();
          break;
        case 5:
          if (Pick(3) == 0) {
            const std::string& key = Key(Pick(kBuilds));
            state_.Forget(key);
            done_.erase(key);
          }
          now_ns_ += Pick(20) * kSecond;
          state_.Tick(now_ns_);
          break;
      }
      Look();
    }
  }

 private:
  int Pick(int below) { return input_.ConsumeIntegralInRange<int>(0, below - 1); }
  static pb::CompilerVersion Version(int epoch) {
    pb::CompilerVersion version;
    version.set_tool_version("1");
    version.set_codegen_epoch(epoch);
    return version;
  }
  static pb::BuildRequest Request(int number) {
    pb::BuildRequest request;
    request.set_workload(absl::StrCat("w", number));
    return request;
  }
  // Made once: they are digests, and all of them are asked about after every event.
  static const std::string& Key(int number) {
    static const std::vector<std::string> keys = [] {
      std::vector<std::string> all;
      for (int i = 0; i < kBuilds; ++i) all.push_back(BuildKey(Request(i), Version(1)));
      return all;
    }();
    return keys[static_cast<size_t>(number)];
  }

  void Ask() {
    pb::BuildsRequest request;
    if (Pick(6) == 0) {
      if (!request.ParseFromString(input_.ConsumeRandomLengthString(256))) return;
    } else {
      request.set_user(absl::StrCat("u", Pick(3)));
      *request.mutable_version() = Version(1 + (Pick(8) == 0));
      for (int count = Pick(5); count > 0; --count) *request.add_builds() = Request(Pick(kBuilds));
      for (int count = Pick(3); count > 0; --count) request.add_waiting(Key(Pick(kBuilds)));
    }
    (void)state_.Ask(request, now_ns_);
    // What is asked for anew may be tried anew.
    for (const pb::BuildRequest& build : request.builds()) {
      done_.erase(BuildKey(build, request.version()));
    }
  }

  void Work() {
    pb::BuilderState state;
    if (Pick(6) == 0) {
      if (!state.ParseFromString(input_.ConsumeRandomLengthString(256))) return;
    } else {
      state.set_builder(absl::StrCat("r", Pick(3)));
      state.set_boot(static_cast<uint64_t>(1 + Pick(3)));
      state.set_capacity(Pick(4));
      *state.mutable_version() = Version(1 + (Pick(8) == 0));
      for (int count = Pick(4); count > 0; --count) state.add_held(Key(Pick(kBuilds)));
      for (int count = Pick(3); count > 0; --count) AddFinished(state);
    }
    if (!CheckBuilderState(state).ok() || !state_.TakeState(state, now_ns_).ok()) return;
    if (state.capacity() == 0) return;
    capacity_max_ = std::max<size_t>(capacity_max_, static_cast<size_t>(state.capacity()));
    const std::vector<pb::BuildGrant> grants = state_.GrantsOf(state.builder(), now_ns_);
    const std::set<std::string> held(state.held().begin(), state.held().end());
    for (const pb::BuildGrant& grant : grants) HONE_CHECK(!held.contains(grant.key()));
    HONE_CHECK(grants.size() <= 2 * capacity_max_) << "it may offer less than it did";
  }

  void AddFinished(pb::BuilderState& state) {
    pb::BuiltReply& built = *state.add_finished();
    built.set_key(Key(Pick(kBuilds)));
    switch (Pick(4)) {
      case 0:
        built.mutable_reply()->mutable_failure()->set_failure(
            static_cast<pb::FailureKind>(Pick(12)));
        break;
      default:
        built.mutable_reply()->mutable_artifact()->set_code_digest(absl::StrCat("x", Pick(3)));
        break;
    }
  }

  void Look() {
    for (int number = 0; number < kBuilds; ++number) {
      const std::string& key = Key(number);
      const pb::BuildsReply reply = state_.DoneOf({key});
      HONE_CHECK(reply.done_size() + reply.unknown_size() <= 1);
      if (reply.done().empty()) {
        if (!reply.unknown().empty()) done_.erase(key);  // forgotten, to make room
        continue;
      }
      const std::string text = reply.done(0).reply().SerializeAsString();
      const auto [before, first] = done_.try_emplace(key, text);
      HONE_CHECK(first || before->second == text) << "a build that was done changed";
    }
    const pb::ListBuildersReply list = state_.List(now_ns_);
    HONE_CHECK(list.queued_builds() >= 0);
  }

  FuzzedDataProvider& input_;
  BuildState state_{BuildLimits{.known_max = kKnownMax}};
  int64_t now_ns_ = 1000 * kSecond;
  size_t capacity_max_ = 0;                  // of any builder so far
  std::map<std::string, std::string> done_;  // key -> reply
};

}  // namespace
}  // namespace hone

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider input(data, size);
  hone::Builds(input).Run();
  return 0;
}

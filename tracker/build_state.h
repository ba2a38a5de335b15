// BuildState: which builds wait, which builder is at which, what came of them. A pure state machine
// beside FarmState: no clock, thread or file. A build needs no fencing, because whoever does it
// does the same: a builder that goes silent loses its builds to others, and if it comes back with
// one all the same, that counts too. What was built is remembered, so that a repeated build is
// answered at once.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "proto/builds.pb.h"

namespace hone {

struct BuildLimits {
  int64_t builder_ttl_ns =
      int64_t{15} * 1'000'000'000;                     // silent for longer: its builds go elsewhere
  int64_t asked_ttl_ns = int64_t{90} * 1'000'000'000;  // not asked for so long: not wanted any more
  int losses_max = 3;          // a build whose builder is lost more often is given up
  int ahead = 2;               // times its capacity a builder is given
  size_t known_max = 100'000;  // builds: queued ones refused above, finished ones forgotten
};

class BuildState {
 public:
  explicit BuildState(BuildLimits limits) : limits_(limits) {}

  // Takes in what is asked for. FailedPrecondition when there is no builder of the version, and
  // which there are; ResourceExhausted when too many wait.
  Status Ask(const pb::BuildsRequest& request, int64_t now_ns);
  // Takes in what a builder says. Aborted if a younger one has its name. One without capacity goes:
  // it is not known any more, and its builds go to others.
  Status TakeState(const pb::BuilderState& state, int64_t now_ns);
  // Time passes: at least once a second.
  void Tick(int64_t now_ns);
  // What an earlier life of the tracker took from builders.
  void Restore(std::vector<pb::BuiltReply> builds);
  // What was built since it was last asked, for the next life.
  std::vector<pb::BuiltReply> TakeUnsaved() { return std::exchange(unsaved_, {}); }
  // An artifact's code is not there any more: its build is not known any more.
  void Forget(const std::string& key);

  // Questions.
  // What is done of the keys, and what of them is not known.
  pb::BuildsReply DoneOf(const std::vector<std::string>& keys) const;
  // What the builder shall build beside what it `held` when it said so; gives it new work if it has
  // room.
  std::vector<pb::BuildGrant> GrantsOf(const std::string& builder, int64_t now_ns);
  pb::ListBuildersReply List(int64_t now_ns) const;

 private:
  struct Build {
    pb::BuildRequest request;
    pb::CompilerVersion version;
    std::string user;
    int64_t asked_ns = 0;  // latest
    int losses = 0;
    std::string builder;  // that it is given to; "" while it waits and when it is done
    std::optional<pb::BuildReply> reply;
    std::list<std::string>::iterator use;  // in done_, when it is done
  };
  struct Builder {
    uint64_t boot = 0;
    int capacity = 0;
    pb::CompilerVersion version;
    int64_t seen_ns = 0;
    std::set<std::string> given;
    std::set<std::string> held;  // of those, as it says
  };

  void Queue(const std::string& key, bool first);
  std::optional<std::string> TakeFor(const Builder& builder, int64_t now_ns);
  void HandBack(const std::string& builder);
  void TakeReply(const std::string& builder, const pb::BuiltReply& built);
  void Lose(const std::string& key, const std::string& why);
  void Finish(const std::string& key, pb::BuildReply reply);

  const BuildLimits limits_;
  std::map<std::string, Build> builds_;                    // by key
  std::map<std::string, std::deque<std::string>> queues_;  // user -> keys that wait; none is empty
  std::string served_;                                     // the user who was served last
  std::map<std::string, Builder> builders_;
  std::list<std::string> done_;  // keys, the one used latest last
  std::vector<pb::BuiltReply> unsaved_;
};

}  // namespace hone

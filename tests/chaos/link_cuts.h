// What befalls the links between hosts and the tracker, by chance: schedules of cuts, both ways or
// one way, for a while or again and again. Pure; ChaosRound carries them out.
#pragma once

#include <random>
#include <vector>

#include "absl/time/time.h"
#include "tests/chaos/host_network.h"

namespace hone {

struct LinkCut {
  int host = 0;
  HostNetwork::Cut cut = HostNetwork::Cut::kBoth;
  absl::Duration begin, end;  // since the schedule began
};

// Of at least one of the hosts, each for at most `length_max`: down, deaf, mute, or up and down
// once a second. Cuts of a host do not overlap, and are in the order of time.
std::vector<LinkCut> RandomLinkCuts(int hosts, absl::Duration length_max, std::mt19937& random);

}  // namespace hone

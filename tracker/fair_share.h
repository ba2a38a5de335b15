// FairShare: whose turn it is. Each user has a virtual time: the device time that the user's work
// took, over the user's weight; the one with the least goes first, so that in the long run devices
// are shared in proportion to weights. Part of FarmState's queue; knows users and nanoseconds only,
// the weights are the policy's.
//
// Start-time fair queueing (Goyal, Vin, Cheng, 1996): who comes back from idleness starts at the
// virtual time of whoever was served last, so that nobody saves up a claim by being away.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"

namespace hone {

class FairShare {
 public:
  // The user has work waiting, and had none.
  void Arrive(const std::string& user);
  // The user has none any more.
  void Leave(const std::string& user);
  // The user's work is given a device, for so long as far as can be foreseen, over the weight.
  void Serve(const std::string& user, double virtual_ns);
  // What a device took for the user beyond (below, if negative) what was foreseen.
  void Correct(const std::string& user, double virtual_ns);

  // 0 for who was never served.
  double VirtualTime(absl::string_view user) const;
  // Those with work waiting, by virtual time: whose turn it is comes first.
  const std::set<std::pair<double, std::string>>& turns() const { return turns_; }

 private:
  std::map<std::string, double, std::less<>> virtual_ns_;  // by user
  std::set<std::pair<double, std::string>> turns_;
  double served_ns_ = 0;  // virtual time of the user served last, before that service
};

}  // namespace hone

// FairShare: whose turn it is. Each user has a virtual time: the device time that the user's work
// took, over the user's weight; the one with the least goes first, so that in the long run devices
// are shared in proportion to weights. Part of FarmState's queue; knows users and nanoseconds only.
//
// Start-time fair queueing (Goyal, Vin, Cheng, 1996): who comes back from idleness starts at the
// virtual time of whoever was served last, so that nobody saves up a claim by being away.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/strings/string_view.h"

namespace hone {

class FairShare {
 public:
  // The user has work waiting, and had none.
  void Arrive(const std::string& user);
  // The user's work is given a device, for `device_ns` as far as can be foreseen.
  void Serve(const std::string& user, int64_t device_ns);
  // What a device took for the user beyond (below, if negative) what was foreseen.
  void Correct(const std::string& user, int64_t device_ns);
  // Above 0; 1 unless set. Twice the weight, twice the share.
  void SetWeight(const std::string& user, double weight);

  // In nanoseconds of a user of weight 1.
  double VirtualTime(absl::string_view user) const;

 private:
  struct User {
    double weight = 1;
    double virtual_ns = 0;
  };
  std::map<std::string, User, std::less<>> users_;
  double served_ns_ = 0;  // virtual time of the user served last, before that service
};

}  // namespace hone

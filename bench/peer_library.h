// PeerLibrary: a library that compare_kernels compares with, loaded from a shared object with the
// functions of peers/kernel_peer.h.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "bench/peers/kernel_peer.h"

namespace hone {

class PeerLibrary {
 public:
  // NotFound when it, or what it needs, is not on this machine.
  static StatusOr<PeerLibrary> Load(const std::string& path);

  std::string name() const { return name_(); }
  std::vector<std::string> Algorithms() const;

  using Run = std::unique_ptr<hone_peer_run, void (*)(hone_peer_run*)>;
  // Null when the peer cannot.
  Run Make(const hone_peer_problem& problem, int algorithm, int threads) const {
    return {make_(&problem, algorithm, threads), free_};
  }
  void Execute(hone_peer_run* run) const { execute_(run); }

 private:
  decltype(&hone_peer_name) name_ = nullptr;
  decltype(&hone_peer_algorithm) algorithm_ = nullptr;
  decltype(&hone_peer_make) make_ = nullptr;
  decltype(&hone_peer_execute) execute_ = nullptr;
  decltype(&hone_peer_free) free_ = nullptr;
};

}  // namespace hone

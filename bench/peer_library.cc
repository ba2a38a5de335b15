#include "bench/peer_library.h"

#include <dlfcn.h>

#include "absl/strings/str_cat.h"

namespace hone {

StatusOr<PeerLibrary> PeerLibrary::Load(const std::string& path) {
  // Deep binding: of two versions of one library, each calls its own functions. Never closed; the
  // threads of OpenMP would not survive it.
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
  if (handle == nullptr) return absl::NotFoundError(dlerror());
  PeerLibrary peer;
  const char* missing = nullptr;
  auto find = [&](const char* symbol, auto& function) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(handle, symbol));
    if (function == nullptr) missing = symbol;
  };
  find("hone_peer_name", peer.name_);
  find("hone_peer_algorithm", peer.algorithm_);
  find("hone_peer_make", peer.make_);
  find("hone_peer_execute", peer.execute_);
  find("hone_peer_free", peer.free_);
  if (missing != nullptr) return absl::NotFoundError(absl::StrCat(path, " has no ", missing));
  return peer;
}

std::vector<std::string> PeerLibrary::Algorithms() const {
  std::vector<std::string> names;
  while (const char* name = algorithm_(static_cast<int>(names.size()))) names.emplace_back(name);
  return names;
}

}  // namespace hone

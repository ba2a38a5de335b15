// PowerCutDisk: SQLite's files on a disk whose power goes at a chosen write. What was written since
// a file's last sync then survives, is lost or is torn, as a seed says. Tests of db/ put it under a
// store; it never touches a file that SQLite did not open.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <vector>

namespace hone {

class PowerCutDisk {
 public:
  // SQLite's default file system as long as it lives; one at a time.
  PowerCutDisk();
  ~PowerCutDisk();
  PowerCutDisk(const PowerCutDisk&) = delete;
  PowerCutDisk& operator=(const PowerCutDisk&) = delete;

  // The power goes with the `operations`-th write, truncation or sync from now on: it and all that
  // follow fail.
  void CutAfter(int64_t operations, uint64_t seed);
  bool IsDark() const;
  // Power is back: each file holds what its last sync left and what the seed lets survive of later
  // writes, sector by sector. All connections must be closed.
  void Restore();

  // --- What the file system below reports; for power_cut_disk.cc.
  struct Write {
    int64_t offset = 0;
    std::string bytes;
    bool truncates = false;  // to `offset`
  };
  void Opened(const std::string& path);
  void Deleted(const std::string& path);
  // False: the power is gone. `write` may survive all the same.
  bool Wrote(const std::string& path, Write write);
  bool Synced(const std::string& path);

 private:
  struct Image {
    std::string durable;         // as of the last sync
    std::vector<Write> written;  // since, in order
  };
  bool Spend();

  mutable std::mutex mutex_;
  std::map<std::string, Image> files_;
  int64_t operations_left_ = -1;  // -1: no cut was ordered
  bool dark_ = false;
  std::mt19937_64 random_;
};

}  // namespace hone

#include "tests/db/power_cut_disk.h"

#include <sqlite3.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "base/check.h"

namespace hone {
namespace {

constexpr char kName[] = "power-cut";
constexpr int64_t kSectorBytes = 512;

// One at a time, because SQLite's file systems are known to the whole process.
PowerCutDisk* disk = nullptr;
sqlite3_vfs* below = nullptr;

// What SQLite holds of an open file: this, and behind it the file of the file system below.
struct File {
  sqlite3_file base;
  const char* path;  // nullptr for temporary files, which no cut concerns
};

sqlite3_file* Below(sqlite3_file* file) {
  return reinterpret_cast<sqlite3_file*>(reinterpret_cast<char*>(file) + sizeof(File));
}
std::string PathOf(sqlite3_file* file) { return reinterpret_cast<File*>(file)->path; }
bool IsTemporary(sqlite3_file* file) { return reinterpret_cast<File*>(file)->path == nullptr; }

int Close(sqlite3_file* file) { return Below(file)->pMethods->xClose(Below(file)); }

int Read(sqlite3_file* file, void* bytes, int size, sqlite3_int64 offset) {
  if (disk->IsDark()) return SQLITE_IOERR_READ;
  return Below(file)->pMethods->xRead(Below(file), bytes, size, offset);
}

int Write(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 offset) {
  if (!IsTemporary(file)) {
    PowerCutDisk::Write write{.offset = offset,
                              .bytes = std::string(static_cast<const char*>(bytes), size)};
    if (!disk->Wrote(PathOf(file), std::move(write))) return SQLITE_IOERR_WRITE;
  }
  return Below(file)->pMethods->xWrite(Below(file), bytes, size, offset);
}

int Truncate(sqlite3_file* file, sqlite3_int64 size) {
  if (!IsTemporary(file) &&
      !disk->Wrote(PathOf(file), {.offset = size, .bytes = {}, .truncates = true})) {
    return SQLITE_IOERR_TRUNCATE;
  }
  return Below(file)->pMethods->xTruncate(Below(file), size);
}

// What is durable is kept in memory, so nothing waits for the real disk.
int Sync(sqlite3_file* file, int flags) {
  return IsTemporary(file) || disk->Synced(PathOf(file)) ? SQLITE_OK : SQLITE_IOERR_FSYNC;
}

int FileSize(sqlite3_file* file, sqlite3_int64* size) {
  return Below(file)->pMethods->xFileSize(Below(file), size);
}
int Lock(sqlite3_file* file, int level) { return Below(file)->pMethods->xLock(Below(file), level); }
int Unlock(sqlite3_file* file, int level) {
  return Below(file)->pMethods->xUnlock(Below(file), level);
}
int CheckReservedLock(sqlite3_file* file, int* held) {
  return Below(file)->pMethods->xCheckReservedLock(Below(file), held);
}
int FileControl(sqlite3_file* file, int what, void* argument) {
  return Below(file)->pMethods->xFileControl(Below(file), what, argument);
}
int SectorSize(sqlite3_file*) { return kSectorBytes; }
// No promises: neither that writes are whole nor that they stay in order.
int DeviceCharacteristics(sqlite3_file*) { return 0; }
int ShmMap(sqlite3_file* file, int page, int size, int extend, void volatile** memory) {
  if (disk->IsDark()) return SQLITE_IOERR_SHMMAP;
  return Below(file)->pMethods->xShmMap(Below(file), page, size, extend, memory);
}
int ShmLock(sqlite3_file* file, int offset, int count, int flags) {
  return Below(file)->pMethods->xShmLock(Below(file), offset, count, flags);
}
void ShmBarrier(sqlite3_file* file) { Below(file)->pMethods->xShmBarrier(Below(file)); }
int ShmUnmap(sqlite3_file* file, int remove) {
  return Below(file)->pMethods->xShmUnmap(Below(file), remove);
}

constexpr sqlite3_io_methods kMethods = {
    .iVersion = 2,
    .xClose = Close,
    .xRead = Read,
    .xWrite = Write,
    .xTruncate = Truncate,
    .xSync = Sync,
    .xFileSize = FileSize,
    .xLock = Lock,
    .xUnlock = Unlock,
    .xCheckReservedLock = CheckReservedLock,
    .xFileControl = FileControl,
    .xSectorSize = SectorSize,
    .xDeviceCharacteristics = DeviceCharacteristics,
    .xShmMap = ShmMap,
    .xShmLock = ShmLock,
    .xShmBarrier = ShmBarrier,
    .xShmUnmap = ShmUnmap,
};

int Open(sqlite3_vfs*, const char* path, sqlite3_file* file, int flags, int* out_flags) {
  if (disk->IsDark()) return SQLITE_CANTOPEN;
  // Known before it is made, so that a new file begins empty.
  if (path != nullptr) disk->Opened(path);
  const int code = below->xOpen(below, path, Below(file), flags, out_flags);
  file->pMethods = code == SQLITE_OK ? &kMethods : nullptr;
  reinterpret_cast<File*>(file)->path = path;
  return code;
}

int Delete(sqlite3_vfs*, const char* path, int sync_directory) {
  if (disk->IsDark()) return SQLITE_IOERR_DELETE;
  disk->Deleted(path);
  return below->xDelete(below, path, sync_directory);
}

sqlite3_vfs* FileSystem() {
  static sqlite3_vfs vfs = [] {
    below = sqlite3_vfs_find(nullptr);
    sqlite3_vfs made = *below;
    made.zName = kName;
    made.pNext = nullptr;
    made.szOsFile = static_cast<int>(sizeof(File)) + below->szOsFile;
    made.xOpen = Open;
    made.xDelete = Delete;
    return made;
  }();
  return &vfs;
}

std::string ReadWhole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

void Apply(const PowerCutDisk::Write& write, std::string* content) {
  if (write.truncates) {
    content->resize(write.offset, '\0');
    return;
  }
  if (content->size() < write.offset + write.bytes.size()) {
    content->resize(write.offset + write.bytes.size(), '\0');
  }
  std::copy(write.bytes.begin(), write.bytes.end(), content->begin() + write.offset);
}

}  // namespace

PowerCutDisk::PowerCutDisk() {
  HONE_CHECK(disk == nullptr) << "there is one already";
  disk = this;
  HONE_CHECK(sqlite3_vfs_register(FileSystem(), /*makeDflt=*/1) == SQLITE_OK);
}

PowerCutDisk::~PowerCutDisk() {
  sqlite3_vfs_unregister(FileSystem());
  disk = nullptr;
}

void PowerCutDisk::CutAfter(int64_t operations, uint64_t seed) {
  const std::lock_guard lock(mutex_);
  operations_left_ = operations;
  random_.seed(seed);
}

bool PowerCutDisk::IsDark() const {
  const std::lock_guard lock(mutex_);
  return dark_;
}

void PowerCutDisk::Restore() {
  const std::lock_guard lock(mutex_);
  const auto chance = [this](uint64_t of) { return random_() % of == 0; };
  for (auto& [path, image] : files_) {
    // Mostly some writes survive whole and some not at all: the disk may have written them in any
    // order. A torn one survives by sectors.
    const bool all_lost = chance(4);
    for (const Write& write : image.written) {
      if (all_lost || chance(3)) continue;
      if (write.truncates || !chance(3)) {
        Apply(write, &image.durable);
        continue;
      }
      for (int64_t at = 0; at < static_cast<int64_t>(write.bytes.size()); at += kSectorBytes) {
        if (chance(2)) continue;
        Apply({.offset = write.offset + at, .bytes = write.bytes.substr(at, kSectorBytes)},
              &image.durable);
      }
    }
    image.written.clear();
    std::ofstream(path, std::ios::binary | std::ios::trunc) << image.durable;
    std::filesystem::remove(path + "-shm");
  }
  dark_ = false;
  operations_left_ = -1;
}

void PowerCutDisk::Opened(const std::string& path) {
  const std::lock_guard lock(mutex_);
  const auto [file, is_new] = files_.try_emplace(path);
  if (is_new) file->second.durable = ReadWhole(path);
}

void PowerCutDisk::Deleted(const std::string& path) {
  const std::lock_guard lock(mutex_);
  files_.erase(path);
}

bool PowerCutDisk::Wrote(const std::string& path, Write write) {
  const std::lock_guard lock(mutex_);
  if (dark_) return false;
  files_[path].written.push_back(std::move(write));
  return Spend();
}

bool PowerCutDisk::Synced(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (dark_ || !Spend()) return false;
  Image& image = files_[path];
  for (const Write& write : image.written) Apply(write, &image.durable);
  image.written.clear();
  return true;
}

bool PowerCutDisk::Spend() {
  if (operations_left_ > 0 && --operations_left_ == 0) dark_ = true;
  return !dark_;
}

}  // namespace hone

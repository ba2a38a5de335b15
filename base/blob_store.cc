#include "base/blob_store.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <list>
#include <map>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/digest.h"
#include "base/file.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

constexpr size_t kDigestDigits = 64;
constexpr size_t kPrefixDigits = 2;  // of a digest: the name of its folder

}  // namespace

bool IsDigest(absl::string_view text) {
  return text.size() == kDigestDigits && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

class BlobStore::Impl {
 public:
  explicit Impl(BlobStoreOptions options) : options_(std::move(options)) {}

  const BlobStoreOptions& options() const { return options_; }

  Status Scan() {
    if (options_.folder.empty()) return absl::OkStatus();
    std::error_code error;
    fs::create_directories(options_.folder, error);
    if (error) return FolderError(error);
    struct Found {
      fs::file_time_type used;
      std::string digest;
      int64_t size;
    };
    std::vector<Found> found;
    for (const fs::directory_entry& prefix : fs::directory_iterator(options_.folder, error)) {
      std::error_code ignored;
      if (!prefix.is_directory(ignored)) continue;
      const std::string digits = prefix.path().filename();
      for (const fs::directory_entry& file : fs::directory_iterator(prefix.path(), ignored)) {
        const std::string digest = digits + file.path().filename().string();
        if (!IsDigest(digest)) {
          fs::remove(file.path(), ignored);  // half written
          continue;
        }
        const fs::file_time_type used = file.last_write_time(ignored);
        found.push_back({used, digest, static_cast<int64_t>(file.file_size(ignored))});
      }
    }
    if (error) return FolderError(error);
    std::sort(found.begin(), found.end(),
              [](const Found& a, const Found& b) { return a.used < b.used; });
    absl::MutexLock lock(&mutex_);
    for (const Found& file : found) Insert(file.digest, file.size, nullptr);
    MakeRoom(0);
    return absl::OkStatus();
  }

  std::vector<std::string> Missing(absl::Span<const std::string> digests) {
    std::vector<std::string> missing;
    absl::MutexLock lock(&mutex_);
    for (const std::string& digest : digests) {
      const auto entry = entries_.find(digest);
      if (entry == entries_.end()) {
        missing.push_back(digest);
      } else {
        Use(digest, entry->second);
      }
    }
    return missing;
  }

  StatusOr<std::string> Put(absl::string_view bytes) {
    const auto size = static_cast<int64_t>(bytes.size());
    if (size > options_.blob_bytes_max) {
      return absl::InvalidArgumentError(absl::StrCat(
          "a blob of ", size, " bytes is larger than the limit of ", options_.blob_bytes_max));
    }
    std::string digest = Digest(bytes);
    absl::MutexLock lock(&mutex_);
    if (const auto entry = entries_.find(digest); entry != entries_.end()) {
      Use(digest, entry->second);
      return digest;
    }
    if (!MakeRoom(size)) {
      return absl::ResourceExhaustedError(
          absl::StrCat("no room for a blob of ", size, " bytes: ", bytes_, " of ",
                       options_.bytes_max, " are taken by blobs in use; wait, or allow more"));
    }
    std::shared_ptr<const std::string> kept;
    if (options_.folder.empty()) {
      kept = std::make_shared<const std::string>(bytes);
    } else {
      std::error_code error;
      fs::create_directories(fs::path(PathOf(digest)).parent_path(), error);
      if (error) return FolderError(error);
      HONE_RETURN_IF_ERROR(WriteFile(PathOf(digest), bytes));
    }
    Insert(digest, size, std::move(kept));
    return digest;
  }

  StatusOr<std::shared_ptr<const std::string>> Get(const std::string& digest) {
    {
      absl::MutexLock lock(&mutex_);
      const auto entry = entries_.find(digest);
      if (entry == entries_.end()) return NoBlob(digest, "is not there");
      Use(digest, entry->second);
      if (entry->second.memory != nullptr) return entry->second.memory;
    }
    if (auto bytes = Read(digest); bytes != nullptr) return bytes;
    // Dropped and put again meanwhile, perhaps: the second look is alone with the file.
    absl::MutexLock lock(&mutex_);
    if (auto bytes = Read(digest); bytes != nullptr) return bytes;
    Remove(digest);
    return NoBlob(digest, "was damaged and is dropped");
  }

  void AddHold(const std::string& digest) {
    absl::MutexLock lock(&mutex_);
    ++holds_[digest];
  }
  void DropHold(const std::string& digest) {
    absl::MutexLock lock(&mutex_);
    const auto hold = holds_.find(digest);
    if (--hold->second == 0) holds_.erase(hold);
  }

  int64_t bytes() const {
    absl::MutexLock lock(&mutex_);
    return bytes_;
  }

  int64_t BytesOf(absl::Span<const std::string> digests) const {
    absl::MutexLock lock(&mutex_);
    int64_t bytes = 0;
    for (const std::string& digest : digests) {
      const auto entry = entries_.find(digest);
      if (entry != entries_.end()) bytes += entry->second.size;
    }
    return bytes;
  }

 private:
  struct Entry {
    int64_t size = 0;
    std::shared_ptr<const std::string> memory;  // null when it is in a file
    std::list<std::string>::iterator use;
  };

  static Status NoBlob(const std::string& digest, absl::string_view why) {
    return absl::NotFoundError(absl::StrCat("blob ", digest, " ", why));
  }
  Status FolderError(const std::error_code& error) const {
    return absl::FailedPreconditionError(absl::StrCat("cannot use the folder of blobs ",
                                                      options_.folder, ": ", error.message(),
                                                      "; choose another"));
  }
  // Null if the file has not the bytes that it should.
  std::shared_ptr<const std::string> Read(const std::string& digest) const {
    StatusOr<std::string> bytes = ReadFile(PathOf(digest));
    if (!bytes.ok() || Digest(*bytes) != digest) return nullptr;
    return std::make_shared<const std::string>(*std::move(bytes));
  }
  std::string PathOf(const std::string& digest) const {
    return absl::StrCat(options_.folder, "/", digest.substr(0, kPrefixDigits), "/",
                        digest.substr(kPrefixDigits));
  }

  void Insert(const std::string& digest, int64_t size, std::shared_ptr<const std::string> memory)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    uses_.push_back(digest);
    entries_[digest] = {size, std::move(memory), std::prev(uses_.end())};
    bytes_ += size;
  }
  // The time of the file carries the order over a restart.
  void Use(const std::string& digest, const Entry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    uses_.splice(uses_.end(), uses_, entry.use);
    if (entry.memory == nullptr) utimensat(AT_FDCWD, PathOf(digest).c_str(), nullptr, 0);
  }
  void Remove(const std::string& digest) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto entry = entries_.find(digest);
    if (entry == entries_.end()) return;
    bytes_ -= entry->second.size;
    if (entry->second.memory == nullptr) {
      std::error_code ignored;
      fs::remove(PathOf(digest), ignored);
    }
    uses_.erase(entry->second.use);
    entries_.erase(entry);
  }
  // False if so much cannot be had. Drops nothing in vain.
  bool MakeRoom(int64_t size) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    int64_t excess = bytes_ + size - options_.bytes_max;
    std::vector<std::string> dropped;
    for (auto use = uses_.begin(); use != uses_.end() && excess > 0; ++use) {
      if (holds_.contains(*use)) continue;
      dropped.push_back(*use);
      excess -= entries_.find(*use)->second.size;
    }
    if (excess > 0) return false;
    for (const std::string& digest : dropped) Remove(digest);
    return true;
  }

  const BlobStoreOptions options_;
  mutable absl::Mutex mutex_;
  std::unordered_map<std::string, Entry> entries_ ABSL_GUARDED_BY(mutex_);
  std::list<std::string> uses_ ABSL_GUARDED_BY(mutex_);  // of all entries, the latest last
  std::unordered_map<std::string, int> holds_ ABSL_GUARDED_BY(mutex_);  // also of absent ones
  int64_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

BlobStore::BlobStore(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
BlobStore::~BlobStore() = default;

StatusOr<std::unique_ptr<BlobStore>> BlobStore::Open(BlobStoreOptions options) {
  auto impl = std::make_shared<Impl>(std::move(options));
  HONE_RETURN_IF_ERROR(impl->Scan());
  return std::unique_ptr<BlobStore>(new BlobStore(std::move(impl)));
}

std::vector<std::string> BlobStore::Missing(absl::Span<const std::string> digests) {
  return impl_->Missing(digests);
}

StatusOr<std::string> BlobStore::Put(absl::string_view bytes) { return impl_->Put(bytes); }

StatusOr<std::shared_ptr<const std::string>> BlobStore::Get(const std::string& digest) {
  return impl_->Get(digest);
}

BlobStore::Pin BlobStore::Hold(std::vector<std::string> digests) {
  for (const std::string& digest : digests) impl_->AddHold(digest);
  auto held = std::make_unique<const std::vector<std::string>>(std::move(digests));
  return Pin(held.release(), [impl = impl_](const std::vector<std::string>* released) {
    for (const std::string& digest : *released) impl->DropHold(digest);
    delete released;
  });
}

int64_t BlobStore::blob_bytes_max() const { return impl_->options().blob_bytes_max; }
int64_t BlobStore::BytesOf(absl::Span<const std::string> digests) const {
  return impl_->BytesOf(digests);
}

int64_t BlobStore::bytes() const { return impl_->bytes(); }

}  // namespace hone

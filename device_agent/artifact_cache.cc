#include "device_agent/artifact_cache.h"

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

namespace hone {

ArtifactCache::ArtifactCache(BlobStore& store, std::unique_ptr<BlobClient> client)
    : store_(store), client_(std::move(client)) {
  thread_ = std::thread([this] { Run(); });
}

ArtifactCache::~ArtifactCache() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  client_->Cancel();
  changed_.notify_all();
  thread_.join();
}

void ArtifactCache::Fetch(std::vector<std::string> digests, Done done) {
  {
    std::lock_guard lock(mutex_);
    wishes_.push_back({std::move(digests), std::move(done)});
  }
  changed_.notify_all();
}

void ArtifactCache::Upload(Blobs blobs, Done done) {
  {
    std::lock_guard lock(mutex_);
    deliveries_.push_back({std::move(blobs), std::move(done)});
  }
  changed_.notify_all();
}

void ArtifactCache::Run() {
  while (true) {
    std::vector<Wish> wishes;
    std::vector<Delivery> deliveries;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !wishes_.empty() || !deliveries_.empty(); });
      if (stopping_) return;
      wishes.swap(wishes_);
      deliveries.swap(deliveries_);
    }
    for (const Delivery& delivery : deliveries) {
      const Status status = client_->Upload(delivery.blobs).status();
      if (IsStopping()) return;
      delivery.done(status);
    }
    if (!wishes.empty()) FetchAll(wishes);
  }
}

bool ArtifactCache::IsStopping() {
  std::lock_guard lock(mutex_);
  return stopping_;
}

void ArtifactCache::FetchAll(const std::vector<Wish>& wishes) {
  const Status status = Download(wishes);
  if (IsStopping()) return;
  for (const Wish& wish : wishes) {
    const std::vector<std::string> missing = store_.Missing(wish.digests);
    if (missing.empty()) {
      wish.done(absl::OkStatus());
    } else if (!status.ok()) {
      wish.done(status);
    } else {
      wish.done(absl::NotFoundError(
          absl::StrCat("the tracker lacks ", missing.size(), " blobs, as ", missing.front())));
    }
  }
}

Status ArtifactCache::Download(const std::vector<Wish>& wishes) {
  std::set<std::string> wanted;
  for (const Wish& wish : wishes) wanted.insert(wish.digests.begin(), wish.digests.end());
  const std::vector<std::string> missing =
      store_.Missing(std::vector<std::string>(wanted.begin(), wanted.end()));
  if (missing.empty()) return absl::OkStatus();
  return client_
      ->Download(missing, [this](const std::string& digest,
                                 const std::string& bytes) { return store_.Put(bytes).status(); })
      .status();
}

}  // namespace hone

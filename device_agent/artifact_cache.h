// ArtifactCache: the code of what an agent's devices are to run. Fetches what is not there from the
// tracker, each blob once however many ask for it, and keeps it, bounded, for the batches to come;
// hands in what models gave. One a host. It decides nothing about batches.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/blob_store.h"
#include "base/status.h"
#include "rpc/blob_client.h"

namespace hone {

class ArtifactCache {
 public:
  // On a thread of the cache: posts to the agent's own loop and returns.
  using Done = std::function<void(Status)>;

  // `store` must outlive the cache.
  ArtifactCache(BlobStore& store, std::unique_ptr<BlobClient> client);
  // What is under way is not answered.
  ~ArtifactCache();

  // Calls `done` once: OK when all are in the store; NotFound when the tracker lacks one;
  // ResourceExhausted when the store has no room; the error of the call when there was no tracker.
  // Whoever wants to be sure that they are still there later holds them first (BlobStore::Hold).
  void Fetch(std::vector<std::string> digests, Done done);

  // Uploads what of the blobs the tracker lacks, and calls `done` once with how that went.
  void Upload(Blobs blobs, Done done);

 private:
  struct Wish {
    std::vector<std::string> digests;
    Done done;
  };

  struct Delivery {
    Blobs blobs;
    Done done;
  };

  void Run();
  void FetchAll(const std::vector<Wish>& wishes);
  bool IsStopping();
  Status Download(const std::vector<Wish>& wishes);

  BlobStore& store_;
  const std::unique_ptr<BlobClient> client_;
  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::vector<Wish> wishes_;
  std::vector<Delivery> deliveries_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace hone

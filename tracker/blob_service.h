// BlobService: the gRPC face of the tracker's blob store, towards clients, who upload artifacts,
// and agents, who download them. Decides nothing about batches: the shell hears of code that is
// missing.
#pragma once

#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/blob_store.h"
#include "proto/blobs.grpc.pb.h"
#include "rpc/blob_assembler.h"
#include "tracker/farm_shell.h"

namespace hone {

class BlobService : public pb::Blobs::CallbackService {
 public:
  // Both must outlive the server.
  BlobService(BlobStore& store, FarmShell& shell);

  grpc::ServerUnaryReactor* FindMissing(grpc::CallbackServerContext* context,
                                        const pb::FindMissingRequest* request,
                                        pb::FindMissingReply* reply) override;
  grpc::ServerReadReactor<pb::BlobChunk>* Upload(grpc::CallbackServerContext* context,
                                                 pb::UploadReply* reply) override;
  grpc::ServerWriteReactor<pb::BlobChunk>* Download(grpc::CallbackServerContext* context,
                                                    const pb::DownloadRequest* request) override;

  // For its streams: true if the chunk made its blob whole.
  StatusOr<bool> TakeChunk(const pb::BlobChunk& chunk);
  // Null if it is not there.
  std::shared_ptr<const std::string> Find(const std::string& digest);

 private:
  BlobStore& store_;
  FarmShell& shell_;
  absl::Mutex mutex_;
  BlobAssembler uploads_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace hone

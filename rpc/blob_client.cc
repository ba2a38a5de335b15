#include "rpc/blob_client.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "proto/blobs.grpc.pb.h"
#include "rpc/blob_assembler.h"
#include "rpc/grpc_status.h"

namespace hone {
namespace {

constexpr absl::Duration kCallTimeout = absl::Seconds(30);
// A line that carries less is as good as broken.
constexpr double kBytesPerSecondMin = 100e3;

absl::Duration Patience(int64_t bytes) {
  return kCallTimeout + absl::Seconds(static_cast<double>(bytes) / kBytesPerSecondMin);
}

}  // namespace

class BlobClient::Impl {
 public:
  explicit Impl(ChannelSource channel) : channel_(std::move(channel)) {}

  StatusOr<pb::FindMissingReply> FindMissing(const Blobs& blobs) {
    pb::FindMissingRequest request;
    for (const auto& [digest, bytes] : blobs) request.add_digests(digest);
    pb::FindMissingReply reply;
    HONE_RETURN_IF_ERROR(WithContext(kCallTimeout, [&](grpc::ClientContext* context) {
      return FromGrpc(Stub()->FindMissing(context, request, &reply));
    }));
    return reply;
  }

  StatusOr<int64_t> Upload(const Blobs& blobs) {
    int64_t uploaded = -1;
    int64_t left_before = -1;
    while (true) {
      HONE_ASSIGN_OR_RETURN(const pb::FindMissingReply found, FindMissing(blobs));
      int64_t left = 0;
      for (const pb::BlobPart& part : found.missing()) {
        const auto blob = blobs.find(part.digest());
        const int64_t size = blob == blobs.end() ? -1 : static_cast<int64_t>(blob->second->size());
        if (part.offset() < 0 || part.offset() > size) {
          return absl::InternalError("the tracker asks for what it was not offered");
        }
        left += size - part.offset();
      }
      if (uploaded < 0) uploaded = left;
      if (found.missing().empty()) return uploaded;
      const Status status = UploadRest(blobs, found, left);
      if (status.ok()) return uploaded;
      const bool goes_on = absl::IsUnavailable(status) || absl::IsAborted(status);
      if (!goes_on || left == left_before) return status;
      left_before = left;
    }
  }

  StatusOr<std::vector<std::string>> Download(absl::Span<const std::string> digests,
                                              const Take& take) {
    std::vector<std::string> missing;
    for (size_t begin = 0; begin < digests.size(); begin += kBlobsPerCallMax) {
      HONE_RETURN_IF_ERROR(DownloadSome(digests.subspan(begin, kBlobsPerCallMax), take, &missing));
    }
    return missing;
  }

  void Cancel() {
    absl::MutexLock lock(&mutex_);
    cancelled_ = true;
    if (context_ != nullptr) context_->TryCancel();
  }

 private:
  std::unique_ptr<pb::Blobs::Stub> Stub() const { return pb::Blobs::NewStub(channel_()); }
  template <typename Call>
  Status WithContext(absl::Duration timeout, Call call) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
    {
      absl::MutexLock lock(&mutex_);
      if (cancelled_) return absl::CancelledError("the client ends");
      context_ = &context;
    }
    const Status status = call(&context);
    absl::MutexLock lock(&mutex_);
    context_ = nullptr;
    return status;
  }

  Status UploadRest(const Blobs& blobs, const pb::FindMissingReply& found, int64_t bytes) {
    return WithContext(Patience(bytes), [&](grpc::ClientContext* context) {
      pb::UploadReply reply;
      const auto stream = Stub()->Upload(context, &reply);
      bool open = true;
      for (const pb::BlobPart& part : found.missing()) {
        const std::string& blob = *blobs.at(part.digest());
        int64_t offset = part.offset();
        do {
          const pb::BlobChunk chunk = ChunkOf(part.digest(), blob, offset);
          offset += static_cast<int64_t>(chunk.data().size());
          open = stream->Write(chunk);
        } while (open && offset < static_cast<int64_t>(blob.size()));
        if (!open) break;
      }
      if (open) stream->WritesDone();
      return FromGrpc(stream->Finish());
    });
  }

  Status DownloadSome(absl::Span<const std::string> digests, const Take& take,
                      std::vector<std::string>* missing) {
    pb::DownloadRequest request;
    for (const std::string& digest : digests) {
      pb::BlobPart& part = *request.add_blobs();
      part.set_digest(digest);
      part.set_offset(assembler_.Received(digest));
    }
    // How large they are is not known before they come.
    const auto bytes = static_cast<int64_t>(digests.size()) * BlobLimits().blob_bytes_max / 16;
    return WithContext(Patience(bytes), [&](grpc::ClientContext* context) {
      const auto stream = Stub()->Download(context, request);
      Status trouble;
      pb::BlobChunk chunk;
      while (trouble.ok() && stream->Read(&chunk)) {
        if (chunk.missing()) {
          missing->push_back(chunk.digest());
          continue;
        }
        auto blob = assembler_.Add(chunk);
        trouble = blob.status();
        if (trouble.ok() && blob->has_value()) trouble = take(chunk.digest(), **std::move(blob));
      }
      if (!trouble.ok()) context->TryCancel();
      const Status status = FromGrpc(stream->Finish());
      return trouble.ok() ? status : trouble;
    });
  }

  const ChannelSource channel_;
  BlobAssembler assembler_{BlobLimits()};  // of downloads

  absl::Mutex mutex_;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::ClientContext* context_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

BlobClient::BlobClient(ChannelSource channel) : impl_(std::make_unique<Impl>(std::move(channel))) {}
BlobClient::BlobClient(std::shared_ptr<grpc::Channel> channel)
    : BlobClient([channel = std::move(channel)] { return channel; }) {}
BlobClient::~BlobClient() = default;

StatusOr<int64_t> BlobClient::Upload(const Blobs& blobs) { return impl_->Upload(blobs); }

StatusOr<std::vector<std::string>> BlobClient::Download(absl::Span<const std::string> digests,
                                                        const Take& take) {
  return impl_->Download(digests, take);
}

void BlobClient::Cancel() { impl_->Cancel(); }

}  // namespace hone

#include "tracker/blob_service.h"

#include <memory>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "rpc/grpc_status.h"
#include "tracker/finish_call.h"
#include "tracker/sequence_writer.h"

namespace hone {
namespace {

Status CheckCount(int count) {
  if (count <= kBlobsPerCallMax) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(count, " blobs in one call, but the limit is ", kBlobsPerCallMax));
}

// One upload. gRPC calls its reactions one after another; OnDone comes last and deletes it.
class UploadReactor : public grpc::ServerReadReactor<pb::BlobChunk> {
 public:
  explicit UploadReactor(BlobService& service) : service_(service) { StartRead(&chunk_); }

  void OnReadDone(bool ok) override {
    if (!ok) {
      Finish(ToGrpc(unfinished_.empty() ? absl::OkStatus()
                                        : absl::AbortedError(absl::StrCat(
                                              "the upload of blob ", *unfinished_.begin(),
                                              " ended early; go on where FindMissing says"))));
      return;
    }
    unfinished_.insert(chunk_.digest());
    const StatusOr<bool> whole = service_.TakeChunk(chunk_);
    if (!whole.ok()) {
      Finish(ToGrpc(whole.status()));
      return;
    }
    if (*whole) unfinished_.erase(chunk_.digest());
    StartRead(&chunk_);
  }
  void OnDone() override { delete this; }

 private:
  BlobService& service_;
  pb::BlobChunk chunk_;
  std::set<std::string> unfinished_;  // begun in this stream
};

class DownloadReactor final : public SequenceWriter<pb::BlobChunk> {
 public:
  DownloadReactor(BlobService& service, const pb::DownloadRequest& request)
      : service_(service), request_(request) {
    WriteNext();
  }

 private:
  StatusOr<bool> Next(pb::BlobChunk* chunk) override {
    HONE_RETURN_IF_ERROR(CheckCount(request_.blobs_size()));
    if (next_ == request_.blobs_size()) return false;
    const pb::BlobPart& part = request_.blobs(next_);
    if (blob_ == nullptr) {
      blob_ = service_.Find(part.digest());
      offset_ = part.offset();
    }
    if (blob_ == nullptr) {
      chunk->set_digest(part.digest());
      chunk->set_missing(true);
    } else if (offset_ < 0 || offset_ > static_cast<int64_t>(blob_->size())) {
      return absl::OutOfRangeError(absl::StrCat("blob ", part.digest(), " has ", blob_->size(),
                                                " bytes; asked for at ", offset_));
    } else {
      *chunk = ChunkOf(part.digest(), *blob_, offset_);
      offset_ += static_cast<int64_t>(chunk->data().size());
    }
    if (blob_ == nullptr || offset_ == static_cast<int64_t>(blob_->size())) {
      ++next_;
      blob_ = nullptr;
    }
    return true;
  }

  BlobService& service_;
  const pb::DownloadRequest request_;
  int next_ = 0;                             // of the request's blobs
  std::shared_ptr<const std::string> blob_;  // that one, once it was begun
  int64_t offset_ = 0;                       // of its next chunk
};

}  // namespace

BlobService::BlobService(BlobStore& store, FarmShell& shell)
    : store_(store), shell_(shell), uploads_({.blob_bytes_max = store.blob_bytes_max()}) {}

grpc::ServerUnaryReactor* BlobService::FindMissing(grpc::CallbackServerContext* context,
                                                   const pb::FindMissingRequest* request,
                                                   pb::FindMissingReply* reply) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const Status status = CheckCount(request->digests_size());
  if (status.ok()) {
    const std::vector<std::string> digests(request->digests().begin(), request->digests().end());
    for (const std::string& digest : store_.Missing(digests)) {
      pb::BlobPart& part = *reply->add_missing();
      part.set_digest(digest);
      absl::MutexLock lock(&mutex_);
      part.set_offset(uploads_.Received(digest));
    }
  }
  reactor->Finish(ToGrpc(status));
  return reactor;
}

grpc::ServerReadReactor<pb::BlobChunk>* BlobService::Upload(grpc::CallbackServerContext* context,
                                                            pb::UploadReply* reply) {
  return new UploadReactor(*this);
}

grpc::ServerWriteReactor<pb::BlobChunk>* BlobService::Download(grpc::CallbackServerContext* context,
                                                               const pb::DownloadRequest* request) {
  return new DownloadReactor(*this, *request);
}

StatusOr<bool> BlobService::TakeChunk(const pb::BlobChunk& chunk) {
  std::optional<std::string> blob;
  {
    absl::MutexLock lock(&mutex_);
    HONE_ASSIGN_OR_RETURN(blob, uploads_.Add(chunk));
  }
  if (!blob) return false;
  shell_.NoteBlobs({.received_bytes = static_cast<int64_t>(blob->size())});
  HONE_RETURN_IF_ERROR(store_.Put(*blob).status());
  return true;
}

std::shared_ptr<const std::string> BlobService::Find(const std::string& digest) {
  auto blob = store_.Get(digest);
  if (blob.ok()) {
    shell_.NoteBlobs({.fetched_bytes = static_cast<int64_t>((*blob)->size())});
    return *std::move(blob);
  }
  shell_.NoteMissingCode(digest);
  return nullptr;
}

}  // namespace hone

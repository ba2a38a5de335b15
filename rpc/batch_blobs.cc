#include "rpc/batch_blobs.h"

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "rpc/pieces.h"

namespace hone {
namespace {

std::vector<pb::Artifact*> ArtifactsOf(pb::Batch& batch) {
  std::vector<pb::Artifact*> artifacts;
  for (pb::Candidate& candidate : *batch.mutable_candidates()) {
    if (candidate.has_artifact()) artifacts.push_back(candidate.mutable_artifact());
  }
  if (batch.reference().has_artifact()) {
    artifacts.push_back(batch.mutable_reference()->mutable_artifact());
  }
  return artifacts;
}

std::vector<const pb::Artifact*> ArtifactsOf(const pb::Batch& batch) {
  std::vector<const pb::Artifact*> artifacts;
  for (const pb::Candidate& candidate : batch.candidates()) {
    artifacts.push_back(&candidate.artifact());
  }
  artifacts.push_back(&batch.reference().artifact());
  return artifacts;
}

std::vector<const pb::Pieces*> PiecesOf(const pb::ModelRun& model) {
  std::vector<const pb::Pieces*> all = {&model.package()};
  for (const pb::ModelInput& input : model.inputs()) all.push_back(&input.data());
  return all;
}

}  // namespace

Blobs TakeCode(pb::Batch& batch) {
  Blobs blobs;
  for (pb::Artifact* artifact : ArtifactsOf(batch)) {
    if (artifact->code().empty()) continue;
    const std::string digest = Digest(artifact->code());
    artifact->set_code_digest(digest);
    auto code = std::make_shared<const std::string>(std::move(*artifact->mutable_code()));
    artifact->clear_code();
    blobs.try_emplace(digest, std::move(code));
  }
  return blobs;
}

std::vector<std::string> CodeDigests(const pb::Batch& batch) {
  std::set<std::string> digests;
  for (const pb::Artifact* artifact : ArtifactsOf(batch)) {
    if (!artifact->code_digest().empty()) digests.insert(artifact->code_digest());
  }
  for (const pb::Pieces* pieces : PiecesOf(batch.model())) {
    digests.insert(pieces->digests().begin(), pieces->digests().end());
  }
  return {digests.begin(), digests.end()};
}

std::vector<std::string> ResultDigests(const pb::BatchResult& result) {
  const pb::ModelResult& model = result.model();
  std::set<std::string> digests(model.run_ns().digests().begin(), model.run_ns().digests().end());
  for (const pb::Pieces& output : model.outputs()) {
    digests.insert(output.digests().begin(), output.digests().end());
  }
  return {digests.begin(), digests.end()};
}

Status FillInCode(BlobStore& store, pb::Batch& batch) {
  for (pb::Artifact* artifact : ArtifactsOf(batch)) {
    if (artifact->code_digest().empty()) continue;
    HONE_ASSIGN_OR_RETURN(const auto code, store.Get(artifact->code_digest()));
    artifact->set_code(*code);
  }
  return absl::OkStatus();
}

std::shared_ptr<const pb::Batch> HoldCode(BlobStore& store, pb::Batch batch) {
  struct Held {
    pb::Batch batch;
    BlobStore::Pin pin;
  };
  BlobStore::Pin pin = store.Hold(CodeDigests(batch));
  auto held = std::make_shared<const Held>(Held{std::move(batch), std::move(pin)});
  const pb::Batch* inner = &held->batch;
  return std::shared_ptr<const pb::Batch>(std::move(held), inner);
}

Status CheckForTravel(const pb::Batch& batch) {
  for (const pb::Artifact* artifact : ArtifactsOf(batch)) {
    if (!artifact->code().empty()) {
      return absl::InvalidArgumentError(
          "an artifact carries its code; send that as a blob, and name it by its digest");
    }
    if (!artifact->code_digest().empty() && !IsDigest(artifact->code_digest())) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", artifact->code_digest(), "' is no digest: 64 hex digits make one"));
    }
  }
  for (const pb::Pieces* pieces : PiecesOf(batch.model())) {
    HONE_RETURN_IF_ERROR(CheckPieces(*pieces));
  }
  const auto bytes = static_cast<int64_t>(batch.ByteSizeLong());
  if (bytes > kBatchBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("a batch of ", bytes, " bytes without its code is larger than the limit of ",
                     kBatchBytesMax, "; submit fewer candidates at a time"));
  }
  return absl::OkStatus();
}

}  // namespace hone

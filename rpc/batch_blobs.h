// A batch's code apart from the batch: on the way from client to agent the artifacts of a batch
// name their code by digest, and the bytes travel as blobs; so do a model and its inputs. Used by
// the farm client, which takes the code out, and the agent, which puts it in again. Sends nothing.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/blob_store.h"
#include "base/status.h"
#include "proto/batch.pb.h"

namespace hone {

// Of a batch without its code.
inline constexpr int64_t kBatchBytesMax = 512 << 10;

// By digest.
using Blobs = std::map<std::string, std::shared_ptr<const std::string>>;

// Moves the code out of all artifacts of the batch, which name it afterwards.
Blobs TakeCode(pb::Batch& batch);
// What the artifacts of the batch name, or its model, each once.
std::vector<std::string> CodeDigests(const pb::Batch& batch);
// What the result of a model names.
std::vector<std::string> ResultDigests(const pb::BatchResult& result);
// Puts the code of artifacts where it is named. NotFound if the store has not all of it.
Status FillInCode(BlobStore& store, pb::Batch& batch);
// A batch that holds what it names in the store (BlobStore::Hold) for as long as it lives.
std::shared_ptr<const pb::Batch> HoldCode(BlobStore& store, pb::Batch batch);
// InvalidArgument if an artifact carries its code, what names it (or a piece of a model) is no
// digest, or the batch is too large for one message.
Status CheckForTravel(const pb::Batch& batch);

}  // namespace hone

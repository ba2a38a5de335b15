// FarmClient: a tuner's connection to a tracker. Submits batches, hands out what came of them and
// lists devices; used by tuner/measure and the command line. It keeps every batch until its result
// is here, so a tracker that is started anew costs the caller nothing but time. Never measures,
// and never starts a tracker: see tuner/measure/local_farm.h.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "proto/batch.pb.h"
#include "proto/device.pb.h"
#include "proto/farm.pb.h"
#include "proto/snapshot.pb.h"
#include "rpc/batch_blobs.h"

namespace hone {

struct FarmClientOptions {
  std::string tracker;  // "unix:/path" or "host:port", or several with commas
  std::string tls_dir;  // of certificates (rpc/credentials.h); "" for plain text on this machine
  absl::Duration connect_timeout = absl::Seconds(5);
};

struct FarmStatus {
  std::vector<pb::DeviceInfo> devices;
  int64_t queued_batches = 0;  // waiting for a device
  int64_t running_batches = 0;
};

// Of the code of artifacts. Each artifact's code is uploaded once, however often it is named.
struct CodeTraffic {
  int64_t named_bytes = 0;     // of all batches submitted
  int64_t uploaded_bytes = 0;  // what the tracker did not have
};

// Calls may come from any thread; WaitForResults from one at a time.
class FarmClient {
 public:
  // Unavailable, with the way out, if no tracker answers within the connect timeout; what the
  // tracker says if it refuses (PermissionDenied); what is wrong with the certificates.
  static StatusOr<std::unique_ptr<FarmClient>> Connect(const FarmClientOptions& options);
  ~FarmClient();

  // Queues a batch, whose artifacts carry their code, and returns its id. Many may be outstanding.
  // `blobs`: what it names beside, a model and its inputs.
  StatusOr<std::string> Submit(const pb::Batch& batch, const Blobs& blobs = {});

  // Blobs that the tracker has, as what a model gave. NotFound if it lacks one.
  StatusOr<Blobs> Download(const std::vector<std::string>& digests);

  // Waits until at least one outstanding batch is finished and returns all that are, each exactly
  // once; empty when `timeout` passed first, or nothing is outstanding. `batch_id` says which.
  // A batch that could not be measured at all has `error` set and no measurements.
  // A tracker out of reach is waited for; Unavailable when it was for a minute.
  StatusOr<std::vector<pb::BatchResult>> WaitForResults(absl::Duration timeout);

  // Cancelled batches come back from WaitForResults with `error` set, or with their results if
  // they were finished already.
  Status Cancel(const std::vector<std::string>& batch_ids);

  // Under which the tracker knows this client.
  const std::string& client_id() const;

  // Batches submitted whose results were not handed out yet.
  int outstanding() const;

  StatusOr<FarmStatus> ListDevices();
  // What holds up the batches that the request names; of this client where it names nothing.
  StatusOr<pb::WhyReply> Why(pb::WhyRequest request = {});
  // All that there is to see, within the request's limits.
  StatusOr<pb::FarmSnapshot> Snapshot(const pb::SnapshotRequest& request);

  CodeTraffic traffic() const;
  // What was given to Connect.
  const FarmClientOptions& options() const;

 private:
  class Impl;
  explicit FarmClient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hone

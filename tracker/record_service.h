// RecordService: the gRPC face of the tracker's records towards compilers and tuners elsewhere.
// Only reads; what is measured comes in through the farm.
#pragma once

#include "db/record_store.h"
#include "proto/tuning.grpc.pb.h"

namespace hone {

class RecordService : public pb::Records::CallbackService {
 public:
  // The store must outlive the server.
  explicit RecordService(const RecordStore& store) : store_(store) {}

  grpc::ServerWriteReactor<pb::FindRecordsReply>* FindRecords(
      grpc::CallbackServerContext* context, const pb::FindRecordsRequest* request) override;

 private:
  const RecordStore& store_;
};

}  // namespace hone

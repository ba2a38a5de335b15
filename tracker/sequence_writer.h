// SequenceWriter: an answer of many messages, each made when the one before it was sent. Base of
// the reactors of the tracker's services that hand out lists and blobs; a stream on which the
// newest message counts is latest_writer.h.
#pragma once

#include <grpcpp/grpcpp.h>

#include "base/status.h"
#include "rpc/grpc_status.h"

namespace hone {

// gRPC owns its life: OnDone comes last and deletes it. One thread at a time.
template <typename Message>
class SequenceWriter : public grpc::ServerWriteReactor<Message> {
 public:
  void OnWriteDone(bool ok) final {
    if (ok) {
      WriteNext();
    } else {
      this->Finish(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the stream broke"));
    }
  }
  void OnDone() final { delete this; }

 protected:
  // Makes the next message, cleared before; false if there is none. An error ends the stream.
  virtual StatusOr<bool> Next(Message* message) = 0;

  // To be called once, by the constructor of the class that has Next.
  void WriteNext() {
    message_.Clear();
    const StatusOr<bool> more = Next(&message_);
    if (more.ok() && *more) {
      this->StartWrite(&message_);
    } else {
      this->Finish(ToGrpc(more.status()));
    }
  }

 private:
  Message message_;  // of the write under way
};

}  // namespace hone

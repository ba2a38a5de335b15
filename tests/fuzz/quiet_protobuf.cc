// Linked into fuzzers that read messages: protobuf says on stderr of every damaged one what is
// wrong with it, which takes longer than reading it.
#include <google/protobuf/stubs/logging.h>

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  google::protobuf::SetLogHandler(nullptr);
  return 0;
}

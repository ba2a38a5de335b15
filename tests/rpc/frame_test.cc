#include "rpc/frame.h"

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "proto/worker.pb.h"

namespace hone {
namespace {

pb::BuildRequest Request(const std::string& schedule) {
  pb::BuildRequest request;
  request.set_id(42);
  request.set_schedule(schedule);
  return request;
}

class FrameTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets_), 0); }
  void TearDown() override {
    CloseWriter();
    close(sockets_[1]);
  }
  void CloseWriter() {
    if (sockets_[0] >= 0) close(sockets_[0]);
    sockets_[0] = -1;
  }
  void WriteRaw(const std::string& bytes) {
    ASSERT_EQ(write(sockets_[0], bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  int reader() const { return sockets_[1]; }
  int writer() const { return sockets_[0]; }

 private:
  int sockets_[2] = {-1, -1};
};

TEST_F(FrameTest, BringsMessagesAcrossInOrder) {
  ASSERT_TRUE(WriteFrame(writer(), Request("first")).ok());
  ASSERT_TRUE(WriteFrame(writer(), Request("")).ok());
  pb::BuildRequest got;
  ASSERT_THAT(ReadFrame(reader(), got).value(), true);
  EXPECT_EQ(got.schedule(), "first");
  ASSERT_THAT(ReadFrame(reader(), got).value(), true);
  EXPECT_EQ(got.schedule(), "");
  EXPECT_EQ(got.id(), 42u);
}

TEST_F(FrameTest, SaysWhenThePeerClosedBetweenFrames) {
  CloseWriter();
  pb::BuildRequest got;
  EXPECT_EQ(ReadFrame(reader(), got).value(), false);
}

TEST_F(FrameTest, ReportsAFrameThatWasCutOff) {
  const std::string frame = EncodeFrame(Request("a schedule"));
  WriteRaw(frame.substr(0, frame.size() - 1));
  CloseWriter();
  pb::BuildRequest got;
  EXPECT_EQ(ReadFrame(reader(), got).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(FrameTest, RefusesALengthBeyondTheLimitWithoutAllocatingIt) {
  WriteRaw("\xff\xff\xff\xff");
  pb::BuildRequest got;
  EXPECT_EQ(ReadFrame(reader(), got).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(FrameTest, ReportsBytesThatAreNotTheMessage) {
  WriteRaw(std::string("\x02\x00\x00\x00\xff\xff", 6));
  pb::BuildRequest got;
  EXPECT_EQ(ReadFrame(reader(), got).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(FrameTest, WritingToAClosedPeerIsAnErrorAndNotASignal) {
  close(dup(reader()));
  shutdown(reader(), SHUT_RD);
  EXPECT_EQ(WriteFrame(writer(), Request("x")).code(), absl::StatusCode::kUnavailable);
}

TEST(FrameDecoderTest, AssemblesFramesFromSingleBytes) {
  const std::string stream = EncodeFrame(Request("one")) + EncodeFrame(Request("two"));
  FrameDecoder decoder;
  std::string seen;
  for (char byte : stream) {
    decoder.Append(std::string(1, byte));
    pb::BuildRequest got;
    if (decoder.Next(got).value()) seen += got.schedule() + " ";
  }
  EXPECT_EQ(seen, "one two ");
}

TEST(FrameDecoderTest, RefusesALengthBeyondTheLimit) {
  FrameDecoder decoder;
  decoder.Append("\xff\xff\xff\xff");
  pb::BuildRequest got;
  EXPECT_EQ(decoder.Next(got).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace hone

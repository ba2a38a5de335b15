// A tracker on a network that means no good: scanners, garbage, floods of connections.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/target.h"
#include "db/memory_record_store.h"
#include "rpc/agent_session.h"
#include "rpc/farm_client.h"
#include "tests/support/tls_folders.h"
#include "tracker/farm_authority.h"
#include "tracker/tracker_server.h"

namespace hone {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);

// A connection as a scanner makes it.
class RawSocket {
 public:
  explicit RawSocket(int port) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    connected_ = connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~RawSocket() { close(socket_); }
  RawSocket(const RawSocket&) = delete;
  RawSocket& operator=(const RawSocket&) = delete;

  bool connected() const { return connected_; }
  int descriptor() const { return socket_; }
  void Send(const std::string& bytes) {
    (void)!send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }

 private:
  int socket_ = -1;
  bool connected_ = false;
};

int PortOf(const std::string& address) {
  int port = 0;
  EXPECT_TRUE(absl::SimpleAtoi(address.substr(address.rfind(':') + 1), &port));
  return port;
}

// With and without certificates.
class RoughNetworkTest : public ::testing::TestWithParam<bool> {
 protected:
  RoughNetworkTest() {
    TrackerOptions options = {.listen = "127.0.0.1:0"};
    if (GetParam()) {
      options.tls_dir = scratch_ / "tls";
      EXPECT_EQ(MakeFarm(TlsFolder(options.tls_dir), {}, TestAuthority::Now()), absl::OkStatus());
      tls_dir_ = options.tls_dir + "/admin";
    }
    auto server = TrackerServer::Start(options, store_, clock_);
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    port_ = PortOf(server_->address());
  }
  Status Ask(const std::string& address) {
    HONE_ASSIGN_OR_RETURN(const auto client,
                          FarmClient::Connect({.tracker = address, .tls_dir = tls_dir_}));
    return client->ListDevices().status();
  }

  ScratchFolder scratch_;
  std::string tls_dir_;
  MemoryRecordStore store_;
  SystemClock clock_;
  std::unique_ptr<TrackerServer> server_;
  int port_ = 0;
};

TEST_P(RoughNetworkTest, OutlivesAPortScan) {
  for (int i = 0; i < 200; ++i) {
    const RawSocket scan(port_);
    EXPECT_TRUE(scan.connected());
  }
  EXPECT_EQ(Ask(server_->address()), absl::OkStatus());
}

TEST_P(RoughNetworkTest, OutlivesGarbage) {
  const std::string preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  const std::string settings("\x00\x00\x00\x04\x00\x00\x00\x00\x00", 9);
  // A header block: its frame, with what a client of no good will puts in.
  const auto headers = [&](const std::string& block) {
    std::string frame = {static_cast<char>(block.size() >> 16),
                         static_cast<char>(block.size() >> 8),
                         static_cast<char>(block.size()),
                         1,
                         4,
                         0,
                         0,
                         0,
                         1};
    return absl::StrCat(preface, settings, frame, block);
  };
  const auto literal = [](const std::string& name, const std::string& value) {
    return absl::StrCat(std::string(1, '\0'), std::string(1, static_cast<char>(name.size())), name,
                        std::string(1, static_cast<char>(value.size())), value);
  };
  std::vector<std::string> sayings = {
      std::string(1, '\0'),
      "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
      std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11),
      std::string(1 << 20, '\xff'),
      preface + std::string(1000, '\0'),
      preface + settings + std::string("\xff\xff\xff\x00\x00\x00\x00\x00\x01", 9),
      headers(literal(":path", "/hone.pb.Farm/Submit")),
      headers(literal("te", "gzip") + literal(":scheme", "ftp")),
      headers(literal(":path", "") + literal(":method", "BREW") + literal("grpc-timeout", "-1S")),
      headers(std::string("\x3f\xff\xff\xff\xff\xff\xff\xff\xff\xff", 10)),
      headers(literal("a", std::string(100, 'b')) + std::string(9000, '\xbe')),
  };
  std::mt19937 random(7);
  for (int i = 0; i < 200; ++i) {
    std::string noise(1 + random() % 2000, '\0');
    for (char& byte : noise) byte = static_cast<char>(random());
    sayings.push_back(i % 2 == 0 ? noise : preface + settings + noise);
  }
  for (const std::string& saying : sayings) {
    RawSocket peer(port_);
    ASSERT_TRUE(peer.connected());
    peer.Send(saying);
  }
  EXPECT_EQ(Ask(server_->address()), absl::OkStatus());
}

TEST_P(RoughNetworkTest, ServesItsOwnThroughAFloodOfConnections) {
  std::vector<std::unique_ptr<RawSocket>> flood;
  for (int i = 0; i < 500; ++i) flood.push_back(std::make_unique<RawSocket>(port_));
  EXPECT_EQ(Ask(server_->address()), absl::OkStatus());
  for (const auto& socket : flood) socket->Send("PRI * HTTP/2.0\r\n");
  EXPECT_EQ(Ask(server_->address()), absl::OkStatus());
}

INSTANTIATE_TEST_SUITE_P(Trackers, RoughNetworkTest, ::testing::Values(false, true),
                         [](const auto& info) { return info.param ? "Tls" : "PlainText"; });

}  // namespace
}  // namespace hone

// A tracker on a network that means no good: scanners, garbage, floods of connections, and a proxy
// that drops connections between calls.
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

// Passes bytes between clients and a server, and breaks all connections when told to.
class RudeProxy {
 public:
  explicit RudeProxy(int server_port) : server_port_(server_port) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(listen(listener_, 64), 0);
    socklen_t size = sizeof(address);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Run(); });
  }
  ~RudeProxy() {
    stopping_ = true;
    thread_.join();
    close(listener_);
  }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }
  // Every connection of now is gone when it returns.
  void BreakAll() {
    const int64_t wanted = ++breaks_wanted_;
    while (breaks_done_ < wanted) std::this_thread::yield();
  }
  int connections() const { return connections_; }

 private:
  struct Pair {
    int client = -1;
    std::unique_ptr<RawSocket> server;
  };

  void Run() {
    std::vector<Pair> pairs;
    const auto drop_all = [&] {
      for (Pair& pair : pairs) close(pair.client);
      pairs.clear();
    };
    while (!stopping_) {
      if (const int64_t wanted = breaks_wanted_; breaks_done_ < wanted) {
        drop_all();
        breaks_done_ = wanted;
      }
      std::vector<pollfd> waits = {{.fd = listener_, .events = POLLIN}};
      for (const Pair& pair : pairs) {
        waits.push_back({.fd = pair.client, .events = POLLIN});
        waits.push_back({.fd = pair.server->descriptor(), .events = POLLIN});
      }
      if (poll(waits.data(), waits.size(), 5) <= 0) continue;
      for (size_t i = pairs.size(); i-- > 0;) {
        const int client = pairs[i].client;
        const int server = pairs[i].server->descriptor();
        const bool alive = (waits[1 + 2 * i].revents == 0 || Pass(client, server)) &&
                           (waits[2 + 2 * i].revents == 0 || Pass(server, client));
        if (alive) continue;
        close(client);
        pairs.erase(pairs.begin() + static_cast<int64_t>(i));
      }
      if (waits[0].revents == 0) continue;
      const int client = accept(listener_, nullptr, nullptr);
      if (client < 0) continue;
      ++connections_;
      pairs.push_back({client, std::make_unique<RawSocket>(server_port_)});
    }
    drop_all();
  }
  static bool Pass(int from, int to) {
    char bytes[16384];
    const ssize_t count = recv(from, bytes, sizeof(bytes), 0);
    return count > 0 && send(to, bytes, static_cast<size_t>(count), MSG_NOSIGNAL) == count;
  }

  const int server_port_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stopping_ = false;
  std::atomic<int64_t> breaks_wanted_ = 0;
  std::atomic<int64_t> breaks_done_ = 0;
  std::atomic<int> connections_ = 0;
  std::thread thread_;
};

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

TEST_P(RoughNetworkTest, WorksThroughAProxyThatDropsTheConnectionAfterEveryCall) {
  RudeProxy proxy(port_);
  auto client = FarmClient::Connect({.tracker = proxy.address(), .tls_dir = tls_dir_});
  ASSERT_TRUE(client.ok()) << client.status();
  pb::Batch batch;
  batch.set_workload("workload/1 w");
  batch.set_target(Target().ToString());
  batch.set_numerics("fp32");
  batch.set_tool_version("test");
  batch.add_candidates()->set_schedule("schedule/1");

  // Its agent, over the same proxy, is the farm's only device: whoever it seems to come from.
  std::atomic<int> links = 0;
  AgentSessionHandlers handlers;
  handlers.on_link = [&](const std::string&, const Status& status) { links += status.ok(); };
  std::string agent_dir;
  if (GetParam()) {
    const auto authority = FarmAuthority::Open(TlsFolder(scratch_ / "tls"));
    ASSERT_TRUE(authority.ok()) << authority.status();
    const std::string key = *MakePrivateKey();
    auto files = authority->Sign(*MakeSigningRequest(key), *ParseIdentity("agent/board"),
                                 TestAuthority::Now());
    ASSERT_TRUE(files.ok()) << files.status();
    files->key_pem = key;
    agent_dir = scratch_ / "board";
    ASSERT_EQ(WriteTlsFolder(TlsFolder(agent_dir), *files), absl::OkStatus());
  }
  auto session = AgentSession::Start({.trackers = {proxy.address()},
                                      .tls_dir = agent_dir,
                                      .agent = "board",
                                      .boot = 1,
                                      .reconnect_backoff_min = absl::Milliseconds(10),
                                      .reconnect_backoff_max = absl::Milliseconds(50)},
                                     std::move(handlers));
  ASSERT_TRUE(session.ok()) << session.status();
  pb::AgentState state;
  state.add_devices()->mutable_info()->set_name("board");
  state.mutable_devices(0)->mutable_info()->set_target(Target().ToString());
  state.mutable_devices(0)->mutable_info()->set_state(pb::READY);
  (*session)->SetState(state);
  const absl::Time deadline = absl::Now() + kPatience;
  const auto wait_for_links = [&](int wanted) {
    while (links < wanted && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(1));
  };

  std::vector<std::string> ids;
  for (int call = 0; call < 5; ++call) {
    wait_for_links(call + 1);
    proxy.BreakAll();
    const auto id = (*client)->Submit(batch);
    ASSERT_TRUE(id.ok()) << id.status();
    ids.push_back(*id);
  }
  wait_for_links(6);
  EXPECT_GE(links, 6);
  EXPECT_GE(proxy.connections(), 6);
  EXPECT_EQ((*client)->outstanding(), 5);
  // One agent with one device all the time, from wherever its connections came.
  const auto farm = (*client)->ListDevices();
  ASSERT_TRUE(farm.ok()) << farm.status();
  ASSERT_EQ(farm->devices.size(), 1);
  EXPECT_EQ(farm->devices[0].name(), "board");
  EXPECT_EQ(farm->devices[0].epoch(), 1u) << "leased anew for a connection";
  pb::SnapshotRequest request;
  const auto snapshot = (*client)->Snapshot(request);
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  EXPECT_EQ(snapshot->tracker().name_conflicts_size(), 0);
}

INSTANTIATE_TEST_SUITE_P(Trackers, RoughNetworkTest, ::testing::Values(false, true),
                         [](const auto& info) { return info.param ? "Tls" : "PlainText"; });

}  // namespace
}  // namespace hone

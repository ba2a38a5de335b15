// The tracker's web server over real sockets: what it serves, and what it withstands.
#include "tracker/web_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <random>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/support/demo_farm.h"
#include "tests/support/local_programs.h"

namespace hone {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr int kPatienceMs = 20'000;

// A raw connection: what it is sent comes as it comes.
class Connection {
 public:
  explicit Connection(const std::string& address) {
    int port = 0;
    EXPECT_TRUE(absl::SimpleAtoi(address.substr(address.rfind(':') + 1), &port));
    fd_ = ConnectTo(port);
    EXPECT_GE(fd_, 0);
  }
  ~Connection() { close(fd_); }

  void Send(const std::string& text) { ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL); }

  // Until `end` came, or the other side closed ("" for that).
  std::string Read(absl::string_view end = "") {
    while (end.empty() || !absl::StrContains(text_, end)) {
      pollfd waiting = {.fd = fd_, .events = POLLIN};
      if (poll(&waiting, 1, kPatienceMs) <= 0) return text_ + "[silence]";
      char bytes[4096];
      const ssize_t size = recv(fd_, bytes, sizeof(bytes), 0);
      if (size <= 0) break;
      text_.append(bytes, static_cast<size_t>(size));
    }
    return text_;
  }

 private:
  int fd_ = -1;
  std::string text_;
};

class WebServerTest : public ::testing::Test {
 protected:
  void Serve(WebLimits limits = {}) {
    limits.update_interval = std::chrono::milliseconds(10);
    auto server = WebServer::Start(
        "127.0.0.1:0",
        {.snapshot =
             [this](const pb::SnapshotRequest&) {
               pb::FarmSnapshot snapshot = DemoFarm(seconds_);
               if (large_) {
                 for (int i = 0; i < 20'000; ++i) {
                   snapshot.add_devices()->mutable_info()->set_name(absl::StrCat("d", i));
                 }
                 snapshot.set_queued_batches(++count_);
               }
               return snapshot;
             },
         .health =
             [this] {
               return health_ok_ ? absl::OkStatus()
                                 : absl::ResourceExhaustedError("the disk is full");
             }},
        limits);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  std::string Get(const std::string& path, const std::string& method = "GET",
                  const std::string& host = "localhost") {
    Connection connection(server_->address());
    connection.Send(absl::StrCat(method, " ", path, " HTTP/1.1\r\nHost: ", host, "\r\n\r\n"));
    return connection.Read();
  }

  std::atomic<int> seconds_ = 0;
  std::atomic<bool> health_ok_ = true;
  std::atomic<bool> large_ = false;
  std::atomic<int> count_ = 0;
  std::unique_ptr<WebServer> server_;
};

TEST_F(WebServerTest, ServesPageMetricsSnapshotAndHealth) {
  Serve();
  EXPECT_THAT(Get("/"), testing::AllOf(HasSubstr("200 OK"), HasSubstr("<h1>hone farm</h1>"),
                                       HasSubstr("Content-Security-Policy: default-src 'none'")));
  EXPECT_THAT(Get("/metrics"), HasSubstr("hone_devices{state=\"lost\"} 1"));
  EXPECT_THAT(Get("/snapshot.json"), HasSubstr("\"name\":\"pi-3\""));
  EXPECT_THAT(Get("/healthz"), HasSubstr("200 OK"));
  EXPECT_THAT(Get("/readyz"), HasSubstr("200 OK"));
  health_ok_ = false;
  EXPECT_THAT(Get("/readyz"), testing::AllOf(HasSubstr("503"), HasSubstr("the disk is full")));
  EXPECT_THAT(Get("/healthz"), HasSubstr("200 OK"));
  EXPECT_THAT(Get("/no/such"), HasSubstr("404"));
  const std::string head = Get("/", "HEAD");
  EXPECT_THAT(head, HasSubstr("200 OK"));
  EXPECT_THAT(head, Not(HasSubstr("<h1>")));
}

TEST_F(WebServerTest, SendsUpdatesAsTheyHappen) {
  Serve();
  Connection connection(server_->address());
  connection.Send("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_THAT(connection.Read("\n\n"), HasSubstr("text/event-stream"));
  EXPECT_THAT(connection.Read("\"ok\":\"41208\""), HasSubstr("data: {"));
  seconds_ = 5;
  EXPECT_THAT(connection.Read("\"ok\":\"41408\""), Not(HasSubstr("[silence]")));
}

TEST_F(WebServerTest, RefusesWhatIsNoRequestOfItsOwn) {
  Serve();
  EXPECT_THAT(Get("/", "POST"), HasSubstr("405"));
  EXPECT_THAT(Get("/snapshot.json", "GET", "evil.example"), HasSubstr("421"));
  EXPECT_THAT(Get("/", "GET", "127.0.0.1:9188"), HasSubstr("200 OK"));
  EXPECT_THAT(Get("/", "GET", "[::1]:9188"), HasSubstr("200 OK"));
  EXPECT_THAT(Get(absl::StrCat("/", std::string(20'000, 'a'))), HasSubstr("431"));
  {
    Connection connection(server_->address());
    connection.Send("\x16\x03\x01 this is TLS\r\n\r\n");
    EXPECT_THAT(connection.Read(), HasSubstr("400"));
  }
  {
    Connection connection(server_->address());
    connection.Send("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n123456789");
    EXPECT_THAT(connection.Read(), HasSubstr("413"));
  }
}

TEST_F(WebServerTest, ClosesOnWhoeverSaysNothingOrTooLittle) {
  WebLimits limits;
  limits.request_timeout = std::chrono::milliseconds(100);
  Serve(limits);
  Connection silent(server_->address());
  Connection slow(server_->address());
  slow.Send("GET / HTTP/1.1\r\nX-");
  EXPECT_EQ(silent.Read(), "");
  EXPECT_EQ(slow.Read(), "");
  EXPECT_THAT(Get("/healthz"), HasSubstr("200 OK"));
}

TEST_F(WebServerTest, HoldsNoMoreConnectionsThanItsLimit) {
  WebLimits limits;
  limits.connections_max = 2;
  Serve(limits);
  Connection first(server_->address());
  Connection second(server_->address());
  for (Connection* connection : {&first, &second}) {
    connection->Send("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_THAT(connection->Read("data: {"), HasSubstr("200 OK"));
  }
  EXPECT_THAT(Get("/healthz"), Not(HasSubstr("200 OK")));
  first.Send("bye");  // whatever a reader says ends it
  first.Read();
  std::string answer;
  for (int i = 0; i < 1000 && !absl::StrContains(answer, "200 OK"); ++i) answer = Get("/healthz");
  EXPECT_THAT(answer, HasSubstr("200 OK"));
}

TEST_F(WebServerTest, DropsAReaderThatDoesNotRead) {
  WebLimits limits;
  limits.write_timeout = std::chrono::milliseconds(200);
  limits.connections_max = 1;
  large_ = true;
  Serve(limits);
  Connection stuck(server_->address());
  stuck.Send("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
  stuck.Read("data: {");
  // Its place is free again only once it is dropped.
  std::string answer;
  for (int i = 0; i < 100'000 && !absl::StrContains(answer, "200 OK"); ++i) {
    answer = Get("/healthz");
  }
  EXPECT_THAT(answer, HasSubstr("200 OK"));
}

TEST_F(WebServerTest, ListensOnThisMachineOnly) {
  const WebSource source = {.snapshot = [](const auto&) { return pb::FarmSnapshot(); },
                            .health = [] { return absl::OkStatus(); }};
  for (const char* address : {"0.0.0.0:0", "192.168.1.2:0", "[::]:0", "farm.example.com:80", "9188",
                              "unix:", "127.0.0.1:70000"}) {
    const auto server = WebServer::Start(address, source);
    EXPECT_TRUE(absl::IsInvalidArgument(server.status())) << address << server.status();
    EXPECT_THAT(std::string(server.status().message()), HasSubstr("unix:/path")) << address;
  }
  Serve();
  EXPECT_TRUE(absl::IsUnavailable(WebServer::Start(server_->address(), source).status()));
}

TEST_F(WebServerTest, ListensOnAUnixSocketToo) {
  const std::string path = absl::StrCat(std::filesystem::temp_directory_path().string(),
                                        "/hone-web-", std::random_device()());
  const auto server = WebServer::Start(absl::StrCat("unix:", path),
                                       {.snapshot = [](const auto&) { return DemoFarm(0); },
                                        .health = [] { return absl::OkStatus(); }});
  ASSERT_TRUE(server.ok()) << server.status();
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un where = {};
  where.sun_family = AF_UNIX;
  path.copy(where.sun_path, sizeof(where.sun_path) - 1);
  ASSERT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&where), sizeof(where)), 0);
  const std::string request = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
  ASSERT_EQ(send(fd, request.data(), request.size(), 0), static_cast<ssize_t>(request.size()));
  char bytes[64] = {};
  EXPECT_GT(recv(fd, bytes, sizeof(bytes) - 1, 0), 0);
  EXPECT_THAT(bytes, HasSubstr("200 OK"));
  close(fd);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace hone

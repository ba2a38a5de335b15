// The farm's page for other machines: over TLS, to members of the farm by their roles.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "tests/support/demo_farm.h"
#include "tests/support/local_programs.h"
#include "tests/support/tls_folders.h"
#include "tracker/web_server.h"

namespace hone {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

// A browser's connection, with the certificate of a member; without one if `tls_dir` is "".
class SecureConnection {
 public:
  SecureConnection(const std::string& address, const std::string& tls_dir)
      : context_(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free), ssl_(nullptr, &SSL_free) {
    if (!tls_dir.empty()) {
      const TlsFolder folder(tls_dir);
      SSL_CTX_use_certificate_chain_file(context_.get(), folder.Certificate().c_str());
      SSL_CTX_use_PrivateKey_file(context_.get(), folder.Key().c_str(), SSL_FILETYPE_PEM);
    }
    int port = 0;
    EXPECT_TRUE(absl::SimpleAtoi(address.substr(address.rfind(':') + 1), &port));
    fd_ = ConnectTo(port);
    EXPECT_GE(fd_, 0);
    const timeval patience = {.tv_sec = 20};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_fd(ssl_.get(), fd_);
    connected_ = SSL_connect(ssl_.get()) == 1;
  }
  ~SecureConnection() { close(fd_); }

  void Ask(const std::string& path) {
    const std::string request =
        absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: farm.example.com:9188\r\n\r\n");
    if (connected_) SSL_write(ssl_.get(), request.data(), static_cast<int>(request.size()));
  }
  // Until `end` came, or the other side closed ("" for that).
  std::string Read(absl::string_view end = "") {
    while (connected_ && (end.empty() || !absl::StrContains(text_, end))) {
      char bytes[4096];
      const int size = SSL_read(ssl_.get(), bytes, sizeof(bytes));
      if (size <= 0) break;
      text_.append(bytes, static_cast<size_t>(size));
    }
    return text_;
  }

 private:
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_;
  int fd_ = -1;
  bool connected_ = false;
  std::string text_;
};

class WebSecurityTest : public ::testing::Test {
 protected:
  void SetUp() override {
    signal(SIGPIPE, SIG_IGN);  // OpenSSL writes to connections that are gone
    tls_dir_ = authority_.Member(scratch_, "tracker/t");
    WebLimits limits;
    limits.update_interval = std::chrono::milliseconds(10);
    limits.connections_per_identity_max = 2;
    CallChecks checks;
    checks.admit = [this](const Peer& peer, absl::string_view method) {
      return revoked_ && peer.identity.name == "eve" ? absl::PermissionDeniedError("eve is revoked")
                                                     : absl::OkStatus();
    };
    checks.refused = [this](const Identity& peer, absl::string_view method, const Status& why) {
      absl::MutexLock lock(&mutex_);
      refused_.push_back(absl::StrCat(peer.ToString(), " ", method));
    };
    // 0.0.0.0 can be reached from everywhere, from here as well.
    auto server = WebServer::Start("0.0.0.0:0",
                                   {.snapshot = [this](const auto&) { return DemoFarm(seconds_); },
                                    .health = [] { return absl::OkStatus(); }},
                                   limits, {.tls_dir = tls_dir_, .checks = checks});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  std::string Get(const std::string& path, const std::string& tls_dir) {
    SecureConnection connection(server_->address(), tls_dir);
    connection.Ask(path);
    return connection.Read();
  }
  std::string Member(const std::string& identity) { return authority_.Member(scratch_, identity); }

  ScratchFolder scratch_;
  TestAuthority authority_;
  std::string tls_dir_;
  std::atomic<bool> revoked_ = false;
  std::atomic<int> seconds_ = 0;
  absl::Mutex mutex_;
  std::vector<std::string> refused_;
  std::unique_ptr<WebServer> server_;
};

TEST_F(WebSecurityTest, ShowsTheFarmToThoseWhoMayLookAtIt) {
  EXPECT_THAT(server_->url(), testing::StartsWith("https://0.0.0.0:"));
  for (const char* identity : {"reader/bob", "tuner/ada", "admin/grace", "daemon/d1"}) {
    const std::string member = Member(identity);
    EXPECT_THAT(Get("/", member), HasSubstr("<h1>hone farm</h1>")) << identity;
    EXPECT_THAT(Get("/metrics", member), HasSubstr("hone_devices{state=\"lost\"} 1")) << identity;
    EXPECT_THAT(Get("/snapshot.json", member), HasSubstr("\"name\":\"pi-3\"")) << identity;
  }
}

TEST_F(WebSecurityTest, RefusesOtherRolesAndSaysSoInTheAuditTrail) {
  const std::string agent = Member("agent/pi-3");
  for (const char* path : {"/", "/metrics", "/snapshot.json", "/events", "/no/such"}) {
    EXPECT_THAT(Get(path, agent), testing::AllOf(HasSubstr("403"), HasSubstr("agent/pi-3 may not"),
                                                 Not(HasSubstr("pi-1"))))
        << path;
  }
  // A board may ask whether its tracker is well, as over gRPC.
  EXPECT_THAT(Get("/healthz", agent), HasSubstr("200 OK"));
  absl::MutexLock lock(&mutex_);
  EXPECT_THAT(refused_, Contains("agent/pi-3 /hone.pb.Farm/Snapshot").Times(5));
}

TEST_F(WebSecurityTest, TellsStrangersNothing) {
  EXPECT_EQ(Get("/", ""), "") << "no certificate";
  TestAuthority other("elsewhere");
  EXPECT_EQ(Get("/", other.Member(scratch_, "admin/mallory")), "") << "another authority's";
  const int64_t hour_ms = 3'600'000;
  const std::string expired = scratch_ / "expired";
  ASSERT_EQ(WriteTlsFolder(
                TlsFolder(expired),
                authority_.Issue("hone:admin/late", TestAuthority::Now() - 3 * hour_ms, hour_ms)),
            absl::OkStatus());
  EXPECT_EQ(Get("/", expired), "") << "expired";
  const std::string nobody = scratch_ / "nobody";
  ASSERT_EQ(WriteTlsFolder(TlsFolder(nobody), authority_.Issue("spiffe:who")), absl::OkStatus());
  EXPECT_EQ(Get("/", nobody), "") << "no identity of a farm";
}

TEST_F(WebSecurityTest, EndsUpdatesOfOneWhoIsRevoked) {
  SecureConnection eve(server_->address(), Member("reader/eve"));
  eve.Ask("/events");
  EXPECT_THAT(eve.Read("data: {"), HasSubstr("text/event-stream"));
  revoked_ = true;
  EXPECT_THAT(eve.Read("no such text"), HasSubstr("data: {"));  // until the server hangs up
  EXPECT_THAT(Get("/", Member("reader/eve")), HasSubstr("eve is revoked"));
}

TEST_F(WebSecurityTest, LetsNoMemberHaveAllConnections) {
  const std::string bob = Member("reader/bob");
  SecureConnection first(server_->address(), bob);
  SecureConnection second(server_->address(), bob);
  for (SecureConnection* connection : {&first, &second}) {
    connection->Ask("/events");
    connection->Read("data: {");
  }
  EXPECT_THAT(Get("/", bob), testing::AllOf(HasSubstr("429"), HasSubstr("reader/bob has 2")));
  EXPECT_THAT(Get("/", Member("reader/ada")), HasSubstr("200 OK"));
  // Those who were there stay.
  seconds_ = 5;
  for (SecureConnection* connection : {&first, &second}) {
    EXPECT_THAT(connection->Read("\"ok\":\"41408\""), HasSubstr("\"ok\":\"41408\""));
  }
}

TEST_F(WebSecurityTest, TakesNewCertificatesWithoutARestart) {
  TestAuthority next("next");
  const std::string bob = next.Member(scratch_, "reader/bob");
  SecureConnection open(server_->address(), Member("reader/ada"));
  open.Ask("/events");
  open.Read("data: {");
  EXPECT_EQ(Get("/", bob), "");
  // Both are trusted while they change.
  TlsFiles files = next.Issue("hone:tracker/t");
  absl::StrAppend(&files.authorities_pem, authority_.certificate());
  ASSERT_EQ(WriteTlsFolder(TlsFolder(tls_dir_), files), absl::OkStatus());
  std::string answer;
  for (int i = 0; i < 2000 && answer.empty(); ++i) answer = Get("/", bob);
  EXPECT_THAT(answer, HasSubstr("200 OK"));
  seconds_ = 5;
  EXPECT_THAT(open.Read("\"ok\":\"41408\""), HasSubstr("\"ok\":\"41408\"")) << "was dropped";
}

TEST_F(WebSecurityTest, StartsOnlyWithCertificatesThatServe) {
  const WebSource source = {.snapshot = [](const auto&) { return DemoFarm(0); },
                            .health = [] { return absl::OkStatus(); }};
  const Status tuner =
      WebServer::Start("0.0.0.0:0", source, {}, {.tls_dir = Member("tuner/ada")}).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(tuner)) << tuner;
  EXPECT_TRUE(absl::IsInvalidArgument(WebServer::Start("0.0.0.0:0", source).status()));
}

}  // namespace
}  // namespace hone

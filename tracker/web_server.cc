#include "tracker/web_server.h"

#include <sys/socket.h>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <map>
#include <optional>
#include <set>
#include <thread>
#include <utility>
#include <variant>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/digest.h"
#include "rpc/permissions.h"
#include "tracker/farm_page.h"
#include "tracker/listening_socket.h"
#include "tracker/web_answer.h"
#include "tracker/web_tls.h"

namespace hone {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;
using Protocol = asio::generic::stream_protocol;
using Stream = beast::basic_stream<Protocol>;
using TlsStream = asio::ssl::stream<Stream&>;
using Clock = std::chrono::steady_clock;

// --- Addresses

struct ListenAddress {
  std::string unix_path;  // or
  asio::ip::tcp::endpoint tcp;
  bool tls = false;
};

Status BadAddress(absl::string_view listen, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("the web page cannot be served at ", listen, ": ", why,
                   "; give 127.0.0.1:PORT or unix:/path, or certificates with --tls-dir"));
}

StatusOr<ListenAddress> ParseListen(absl::string_view listen, bool has_tls) {
  absl::string_view path = listen;
  if (absl::ConsumePrefix(&path, "unix:")) {
    if (path.empty() || path.size() > 107) {
      return BadAddress(listen, "a socket's path has 1 to 107 characters");
    }
    return ListenAddress{.unix_path = std::string(path)};
  }
  const size_t colon = listen.rfind(':');
  int port = 0;
  if (colon == absl::string_view::npos || !absl::SimpleAtoi(listen.substr(colon + 1), &port) ||
      port < 0 || port > 65535) {
    return BadAddress(listen, "it has no port");
  }
  std::string host(listen.substr(0, colon));
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  if (host == "localhost") host = "127.0.0.1";
  error_code error;
  const asio::ip::address address = asio::ip::make_address(host, error);
  if (error) return BadAddress(listen, "its host is no address");
  const bool tls = !address.is_loopback();
  if (tls && !has_tls) return BadAddress(listen, "others can reach it there");
  return ListenAddress{.tcp = {address, static_cast<uint16_t>(port)}, .tls = tls};
}

// --- Answers

std::string HashSource(absl::string_view text) {
  return absl::StrCat("'sha256-", absl::Base64Escape(absl::HexStringToBytes(Digest(text))), "'");
}

// Nothing runs or is loaded but the page's own style and script.
std::string ContentPolicy() {
  return absl::StrCat("default-src 'none'; script-src ", HashSource(kFarmPageScript),
                      "; style-src ", HashSource(kFarmPageStyle),
                      "; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
                      "frame-ancestors 'none'");
}

// The snapshot without what changes by itself, to tell news from the time of day.
std::string Essence(pb::FarmSnapshot snapshot) {
  snapshot.clear_unix_ms();
  for (pb::DeviceEntry& device : *snapshot.mutable_devices()) {
    device.clear_lease_ms_left();
    device.mutable_info()->clear_last_seen_unix_ms();
  }
  for (pb::QueueEntry& entry : *snapshot.mutable_queue()) entry.clear_waiting_ms();
  for (pb::DaemonInfo& daemon : *snapshot.mutable_daemons()) daemon.clear_silence_ms();
  for (pb::BuilderInfo& builder : *snapshot.mutable_builders()) builder.clear_silent_ms();
  return SnapshotJson(snapshot);
}

}  // namespace

// --- One connection

class WebSession;

// What the connections share. All on one thread.
struct WebState {
  WebSource source;
  WebLimits limits;
  CallChecks checks;
  std::unique_ptr<WebTls> tls;  // null: plain text
  bool plain_tcp = false;
  std::string policy;
  std::set<std::shared_ptr<WebSession>> sessions;
  std::map<std::string, int> sessions_of;     // an identity, over TLS
  std::shared_ptr<const std::string> update;  // the latest; null when nobody asked for one yet
};

// Lives while an operation of it is under way; the state's set names those that can be closed.
class WebSession : public std::enable_shared_from_this<WebSession> {
 public:
  WebSession(Protocol::socket socket, WebState& state)
      : stream_(std::move(socket)), state_(state), buffer_(state.limits.header_bytes_max) {}

  void Start() {
    deadline_ = Clock::now() + state_.limits.request_timeout;
    if (state_.tls == nullptr) return Read();
    context_ = state_.tls->context();
    tls_.emplace(stream_, *context_);
    stream_.expires_at(deadline_);
    tls_->async_handshake(TlsStream::server, [self = shared_from_this()](error_code error) {
      if (error) return self->Close();
      self->Meet();
    });
  }

  void Close() {
    error_code ignored;
    stream_.socket().shutdown(Protocol::socket::shutdown_both, ignored);
    stream_.close();
    if (state_.sessions.erase(shared_from_this()) == 0 || !peer_) return;
    const auto count = state_.sessions_of.find(peer_->identity.ToString());
    if (--count->second == 0) state_.sessions_of.erase(count);
  }

  // Whether the other side may still see what it sees: certificates expire, and are revoked.
  bool StillAllowed() {
    return tls_ == std::nullopt ||
           (state_.tls->CheckStillGood(*peer_, absl::ToUnixMillis(absl::Now())).ok() &&
            MayAsk("/events").ok());
  }

  bool listens() const { return listens_; }

  // Sends the state's latest update; one that is still being sent is followed by the latest then.
  void Push() {
    if (writing_) {
      behind_ = true;
      return;
    }
    writing_ = state_.update;
    stream_.expires_after(state_.limits.write_timeout);
    const auto done = [self = shared_from_this()](error_code error, size_t) {
      self->writing_ = nullptr;
      if (error) return self->Close();
      if (std::exchange(self->behind_, false)) self->Push();
    };
    On([&](auto& stream) { asio::async_write(stream, asio::buffer(*writing_), done); });
  }

 private:
  // Acts on the stream that HTTP goes over.
  template <typename Act>
  void On(const Act& act) {
    if (tls_) return act(*tls_);
    act(stream_);
  }

  // Learns who is there.
  void Meet() {
    const StatusOr<Peer> peer = WebTls::PeerOf(tls_->native_handle());
    if (!peer.ok()) return Close();
    peer_ = *peer;
    ++state_.sessions_of[peer_->identity.ToString()];
    Read();
  }

  Status MayAsk(absl::string_view target) {
    const absl::string_view method = MethodBehind(target);
    HONE_RETURN_IF_ERROR(CheckPermission(peer_->identity, method));
    return state_.checks.admit ? state_.checks.admit(*peer_, method) : absl::OkStatus();
  }

  // One more connection is what is too many, not those that were there before it.
  Status Admit(absl::string_view target) {
    HONE_RETURN_IF_ERROR(MayAsk(target));
    const std::string identity = peer_->identity.ToString();
    const int limit = state_.limits.connections_per_identity_max;
    if (state_.sessions_of[identity] <= limit) return absl::OkStatus();
    return absl::ResourceExhaustedError(
        absl::StrCat(identity, " has ", limit, " connections to the page, which is the limit"));
  }

  void Refuse(absl::string_view target, const Status& why) {
    if (state_.checks.refused) {
      state_.checks.refused(peer_->identity, MethodBehind(target), why);
    }
    Send({.status = absl::IsResourceExhausted(why) ? 429 : 403,
          .body = absl::StrCat(why.message(), "\n")});
  }

  void Read() {
    parser_.emplace();
    parser_->header_limit(state_.limits.header_bytes_max);
    parser_->body_limit(0);
    stream_.expires_at(deadline_);
    const auto done = [self = shared_from_this()](error_code error, size_t) {
      self->OnRequest(error);
    };
    On([&](auto& stream) { http::async_read(stream, buffer_, *parser_, done); });
  }

  void OnRequest(error_code error) {
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
      return Send({.status = 431, .body = "the request is too large\n"});
    }
    if (error == http::error::body_limit || error == http::error::unexpected_body) {
      return Send({.status = 413, .body = "no body is taken\n"});
    }
    if (error == http::error::end_of_stream || error == beast::error::timeout ||
        error == asio::error::operation_aborted || (error && tls_) ||
        (error && error.category() == asio::error::get_system_category())) {
      return Close();
    }
    if (error) {
      return Send({.status = 400, .body = "this is no HTTP request\n"});
    }
    const auto& request = parser_->get();
    const auto view = [](beast::string_view text) {
      return absl::string_view(text.data(), text.size());
    };
    head_ = request.method() == http::verb::head;
    if (peer_) {
      const Status allowed = Admit(view(request.target()));
      if (!allowed.ok()) return Refuse(view(request.target()), allowed);
    }
    WebAnswer answer = AnswerTo({.method = view(request.method_string()),
                                 .target = view(request.target()),
                                 .host = view(request[http::field::host]),
                                 .tcp = state_.plain_tcp},
                                state_.source);
    if (answer.is_stream) return Listen();
    Send(std::move(answer));
  }

  void SetFields(http::fields& fields) {
    fields.set(http::field::cache_control, "no-store");
    fields.set(http::field::x_frame_options, "DENY");
    fields.set("X-Content-Type-Options", "nosniff");
    fields.set("Referrer-Policy", "no-referrer");
    fields.set("Content-Security-Policy", state_.policy);
    fields.set(http::field::connection, "close");
  }

  // One answer a connection: whoever asks often asks over loopback.
  void Send(WebAnswer answer) {
    response_.emplace(static_cast<http::status>(answer.status), 11);
    SetFields(*response_);
    response_->set(http::field::content_type, answer.type);
    response_->content_length(answer.body.size());
    if (!head_) response_->body() = std::move(answer.body);
    stream_.expires_after(state_.limits.write_timeout);
    serializer_.emplace(*response_);
    const auto done = [self = shared_from_this()](error_code error, size_t) {
      if (error) return self->Close();
      self->Linger();
    };
    On([&](auto& stream) {
      if (head_) {
        http::async_write_header(stream, *serializer_, done);
      } else {
        http::async_write(stream, *serializer_, done);
      }
    });
  }

  // Closing with unread bytes would reset the connection, and the answer be lost: what still comes
  // is read for a moment.
  void Linger() {
    stream_.expires_after(std::min(state_.limits.request_timeout, std::chrono::milliseconds(500)));
    if (tls_) {
      tls_->async_shutdown([self = shared_from_this()](error_code) { self->Close(); });
      return;
    }
    error_code ignored;
    stream_.socket().shutdown(Protocol::socket::shutdown_send, ignored);
    Drain();
  }

  void Drain() {
    stream_.async_read_some(asio::buffer(scrap_),
                            [self = shared_from_this()](error_code error, size_t) {
                              if (error) return self->Close();
                              self->Drain();
                            });
  }

  void Listen() {
    response_.emplace(http::status::ok, 11);
    SetFields(*response_);
    response_->set(http::field::content_type, "text/event-stream");
    serializer_.emplace(*response_);
    stream_.expires_after(state_.limits.write_timeout);
    const auto done = [self = shared_from_this()](error_code error, size_t) {
      if (error) return self->Close();
      self->listens_ = true;
      // Whatever is read now is the reader's end.
      self->stream_.expires_never();
      self->Watch();
      self->state_.update = UpdateOf(self->state_.source);
      self->Push();
    };
    On([&](auto& stream) { http::async_write_header(stream, *serializer_, done); });
  }

  void Watch() {
    const auto done = [self = shared_from_this()](error_code, size_t) { self->Close(); };
    On([&](auto& stream) { stream.async_read_some(asio::buffer(scrap_), done); });
  }

 public:
  static std::shared_ptr<const std::string> UpdateOf(const WebSource& source) {
    return std::make_shared<const std::string>(
        absl::StrCat("data: ", SnapshotJson(source.snapshot(PageRequest())), "\n\n"));
  }

 private:
  Stream stream_;
  std::shared_ptr<asio::ssl::context> context_;
  std::optional<TlsStream> tls_;  // over stream_
  std::optional<Peer> peer_;      // once it is known, over TLS
  WebState& state_;
  beast::flat_buffer buffer_;
  Clock::time_point deadline_;
  std::optional<http::request_parser<http::string_body>> parser_;
  std::optional<http::response<http::string_body>> response_;
  std::optional<http::response_serializer<http::string_body>> serializer_;
  bool head_ = false;
  bool listens_ = false;
  bool behind_ = false;
  std::shared_ptr<const std::string> writing_;
  char scrap_[512];
};

// --- The server

class WebServer::Impl {
 public:
  Impl(WebSource source, const WebLimits& limits, const WebSecurity& security)
      : context_(1), acceptor_(context_), timer_(context_) {
    state_.source = std::move(source);
    state_.limits = limits;
    state_.checks = security.checks;
    tls_dir_ = security.tls_dir;
    state_.policy = ContentPolicy();
  }

  ~Impl() {
    if (!thread_.joinable()) return;
    asio::post(context_, [this] {
      error_code ignored;
      acceptor_.close(ignored);
      timer_.cancel();
      stopped_ = true;
      while (!state_.sessions.empty()) std::shared_ptr(*state_.sessions.begin())->Close();
    });
    thread_.join();
  }

  Status Listen(const std::string& listen) {
    HONE_ASSIGN_OR_RETURN(const ListenAddress where, ParseListen(listen, !tls_dir_.empty()));
    HONE_RETURN_IF_ERROR(ClearSocket(listen));
    if (where.tls) {
      HONE_ASSIGN_OR_RETURN(state_.tls, WebTls::Open(TlsFolder(tls_dir_)));
    }
    const bool tcp = where.unix_path.empty();
    state_.plain_tcp = tcp && !where.tls;
    const Protocol::endpoint endpoint =
        tcp ? Protocol::endpoint(where.tcp)
            : Protocol::endpoint(asio::local::stream_protocol::endpoint(where.unix_path));
    error_code error;
    acceptor_.open(endpoint.protocol(), error);
    if (!error && tcp) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(state_.limits.connections_max, error);
    if (error) {
      return absl::UnavailableError(absl::StrCat("cannot serve the web page at ", listen, ": ",
                                                 error.message(), "; choose another with --web"));
    }
    address_ = listen;
    if (tcp) {
      const Protocol::endpoint bound = acceptor_.local_endpoint(error);
      sockaddr_storage raw = {};
      std::memcpy(&raw, bound.data(), std::min(sizeof(raw), bound.size()));
      const uint16_t port =
          ntohs(raw.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&raw)->sin6_port
                                          : reinterpret_cast<sockaddr_in*>(&raw)->sin_port);
      address_ = absl::StrCat(listen.substr(0, listen.rfind(':')), ":", port);
    }
    Accept();
    Update();
    thread_ = std::thread([this] { context_.run(); });
    return absl::OkStatus();
  }

  const std::string& address() const { return address_; }
  std::string url() const {
    if (state_.plain_tcp) return absl::StrCat("http://", address_, "/");
    return state_.tls == nullptr ? address_ : absl::StrCat("https://", address_, "/");
  }

 private:
  using Acceptor = asio::basic_socket_acceptor<Protocol>;

  void Accept() {
    acceptor_.async_accept([this](error_code error, Protocol::socket socket) {
      if (stopped_ || error == asio::error::operation_aborted) return;
      if (!error && static_cast<int>(state_.sessions.size()) < state_.limits.connections_max) {
        auto session = std::make_shared<WebSession>(std::move(socket), state_);
        state_.sessions.insert(session);
        session->Start();
      }
      // One too many is closed as its socket goes.
      if (error) return AcceptLater();
      Accept();
    });
  }

  // Out of descriptors, most likely: there is no use in trying at once.
  void AcceptLater() {
    auto pause = std::make_shared<asio::steady_timer>(context_, state_.limits.update_interval);
    pause->async_wait([this, pause](error_code) {
      if (!stopped_) Accept();
    });
  }

  void Update() {
    timer_.expires_after(state_.limits.update_interval);
    timer_.async_wait([this](error_code error) {
      if (error || stopped_) return;
      if (state_.tls != nullptr) state_.tls->Refresh();
      PushNews();
      Update();
    });
  }

  void PushNews() {
    std::vector<std::shared_ptr<WebSession>> readers;
    for (const auto& session : state_.sessions) {
      if (session->listens()) readers.push_back(session);
    }
    std::erase_if(readers, [](const std::shared_ptr<WebSession>& reader) {
      if (reader->StillAllowed()) return false;
      reader->Close();
      return true;
    });
    if (readers.empty()) return;
    const pb::FarmSnapshot snapshot = state_.source.snapshot(PageRequest());
    std::string essence = Essence(snapshot);
    if (essence == essence_ && Clock::now() < quiet_until_) return;
    essence_ = std::move(essence);
    quiet_until_ = Clock::now() + state_.limits.keep_alive;
    state_.update =
        std::make_shared<const std::string>(absl::StrCat("data: ", SnapshotJson(snapshot), "\n\n"));
    for (const auto& reader : readers) reader->Push();
  }

  asio::io_context context_;
  Acceptor acceptor_;
  asio::steady_timer timer_;
  WebState state_;
  std::string tls_dir_;
  std::string address_;
  bool stopped_ = false;
  std::string essence_;
  Clock::time_point quiet_until_;
  std::thread thread_;
};

WebServer::WebServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
WebServer::~WebServer() = default;

StatusOr<std::unique_ptr<WebServer>> WebServer::Start(const std::string& listen, WebSource source,
                                                      const WebLimits& limits,
                                                      const WebSecurity& security) {
  auto impl = std::make_unique<Impl>(std::move(source), limits, security);
  HONE_RETURN_IF_ERROR(impl->Listen(listen));
  return std::unique_ptr<WebServer>(new WebServer(std::move(impl)));
}

const std::string& WebServer::address() const { return impl_->address(); }
std::string WebServer::url() const { return impl_->url(); }

}  // namespace hone

#include "tests/support/delay_proxy.h"

#include <array>
#include <atomic>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <deque>
#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace hone {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;

// One direction of a connection. Ends both ends when its own does.
class Flow : public std::enable_shared_from_this<Flow> {
 public:
  Flow(std::shared_ptr<tcp::socket> from, std::shared_ptr<tcp::socket> to,
       const std::atomic<int64_t>& delay_ns)
      : from_(std::move(from)),
        to_(std::move(to)),
        delay_ns_(delay_ns),
        timer_(from_->get_executor()) {}

  void Begin() { Read(); }

 private:
  struct Piece {
    steady_clock::time_point due;
    std::string bytes;
  };

  void Read() {
    from_->async_read_some(asio::buffer(buffer_),
                           [this, self = shared_from_this()](const error_code& error, size_t size) {
                             if (error) return End();
                             pieces_.push_back({steady_clock::now() + nanoseconds(delay_ns_),
                                                std::string(buffer_.data(), size)});
                             if (!writing_) Write();
                             Read();
                           });
  }
  void Write() {
    if (pieces_.empty()) return;
    writing_ = true;
    timer_.expires_at(pieces_.front().due);
    timer_.async_wait([this, self = shared_from_this()](const error_code& error) {
      if (error) return;
      asio::async_write(*to_, asio::buffer(pieces_.front().bytes),
                        [this, self = shared_from_this()](const error_code& failed, size_t) {
                          if (failed) return End();
                          pieces_.pop_front();
                          writing_ = false;
                          Write();
                        });
    });
  }
  void End() {
    error_code ignored;
    from_->close(ignored);
    to_->close(ignored);
    timer_.cancel();
  }

  std::shared_ptr<tcp::socket> from_, to_;
  const std::atomic<int64_t>& delay_ns_;
  asio::steady_timer timer_;
  std::array<char, 64 << 10> buffer_;
  std::deque<Piece> pieces_;
  bool writing_ = false;
};

}  // namespace

class DelayProxy::Impl {
 public:
  Impl(const std::string& host, uint16_t port, absl::Duration delay)
      : target_(asio::ip::make_address(host), port),
        delay_ns_(absl::ToInt64Nanoseconds(delay)),
        acceptor_(context_, tcp::endpoint(asio::ip::address_v4::loopback(), 0)) {
    address_ = absl::StrCat("127.0.0.1:", acceptor_.local_endpoint().port());
    Accept();
    thread_ = std::thread([this] { context_.run(); });
  }
  ~Impl() {
    context_.stop();
    thread_.join();
  }

  const std::string& address() const { return address_; }
  void SetDelay(absl::Duration delay) { delay_ns_ = absl::ToInt64Nanoseconds(delay); }

 private:
  void Accept() {
    acceptor_.async_accept([this](const error_code& error, tcp::socket socket) {
      if (error) return;
      auto near = std::make_shared<tcp::socket>(std::move(socket));
      auto far = std::make_shared<tcp::socket>(context_);
      far->async_connect(target_, [this, near, far](const error_code& refused) {
        if (refused) return;
        error_code ignored;
        near->set_option(tcp::no_delay(true), ignored);
        far->set_option(tcp::no_delay(true), ignored);
        std::make_shared<Flow>(near, far, delay_ns_)->Begin();
        std::make_shared<Flow>(far, near, delay_ns_)->Begin();
      });
      Accept();
    });
  }

  asio::io_context context_{1};
  const tcp::endpoint target_;
  std::atomic<int64_t> delay_ns_;
  tcp::acceptor acceptor_;
  std::string address_;
  std::thread thread_;
};

DelayProxy::DelayProxy(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
DelayProxy::~DelayProxy() = default;

StatusOr<std::unique_ptr<DelayProxy>> DelayProxy::Start(const std::string& target,
                                                        absl::Duration delay) {
  const size_t colon = target.rfind(':');
  int port = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(target.substr(colon + 1), &port)) {
    return absl::InvalidArgumentError(absl::StrCat(target, " is no address:port"));
  }
  return std::unique_ptr<DelayProxy>(new DelayProxy(
      std::make_unique<Impl>(target.substr(0, colon), static_cast<uint16_t>(port), delay)));
}

const std::string& DelayProxy::address() const { return impl_->address(); }

void DelayProxy::SetDelay(absl::Duration delay) { impl_->SetDelay(delay); }

}  // namespace hone

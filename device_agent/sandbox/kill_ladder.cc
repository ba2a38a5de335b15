#include "device_agent/sandbox/kill_ladder.h"

#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

class Ladder : public std::enable_shared_from_this<Ladder> {
 public:
  Ladder(asio::io_context& context, int pidfd, KillRungs rungs,
         std::function<void(std::string)> ended)
      : process_(context, dup(pidfd)),
        timer_(context),
        rungs_(std::move(rungs)),
        ended_(std::move(ended)) {}

  void Climb() {
    process_.async_wait(asio::posix::stream_descriptor::wait_read,
                        [self = shared_from_this()](error_code error) {
                          if (!error) self->End("");
                        });
    rungs_.kill();
    After([this] {
      if (rungs_.kill_group == nullptr) return GiveUp("SIGKILL");
      rungs_.kill_group();
      After([this] { GiveUp("SIGKILL and a kill of its control group"); });
    });
  }

 private:
  // Unless the process is gone by then.
  void After(std::function<void()> next) {
    timer_.expires_after(rungs_.patience);
    timer_.async_wait([self = shared_from_this(), next = std::move(next)](error_code error) {
      if (!error && self->ended_ != nullptr) next();
    });
  }

  void GiveUp(absl::string_view tried) {
    End(absl::StrCat("the measuring worker cannot be killed: it outlived ", tried, " by ",
                     rungs_.patience.count(), " ms; the machine has to be restarted"));
  }

  void End(std::string failure) {
    if (ended_ == nullptr) return;
    error_code ignored;
    process_.close(ignored);
    timer_.cancel();
    std::exchange(ended_, nullptr)(std::move(failure));
  }

  asio::posix::stream_descriptor process_;
  asio::steady_timer timer_;
  const KillRungs rungs_;
  std::function<void(std::string)> ended_;  // null once it was called
};

}  // namespace

void ClimbKillLadder(asio::io_context& context, int pidfd, KillRungs rungs,
                     std::function<void(std::string)> ended) {
  std::make_shared<Ladder>(context, pidfd, std::move(rungs), std::move(ended))->Climb();
}

}  // namespace hone

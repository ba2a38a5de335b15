// How the agent ends a worker without ever waiting for it: SIGKILL to the worker, whose namespaces
// die with it; when it is still there after two seconds, a kill of its whole control group; and
// when that does not help either, the news that it cannot be killed. Runs on the agent's io_context
// by timers and the process' pidfd.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <string>

namespace hone {

struct KillRungs {
  // Sends SIGKILL.
  std::function<void()> kill;
  // Kills the control group; null when there is none.
  std::function<void()> kill_group;
  // How long each has.
  std::chrono::milliseconds patience = std::chrono::seconds(2);
};

// Starts at once and returns. `pidfd` becomes readable when the process has ended; it is
// duplicated. `ended` is called once: with "" when the process is gone, else with what was tried in
// vain.
void ClimbKillLadder(boost::asio::io_context& context, int pidfd, KillRungs rungs,
                     std::function<void(std::string)> ended);

}  // namespace hone

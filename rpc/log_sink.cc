#include "rpc/log_sink.h"

#include <spdlog/async_logger.h>
#include <spdlog/details/thread_pool.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <chrono>
#include <memory>
#include <string>

namespace hone {
namespace {

constexpr size_t kQueueMax = 8192;

// The pool writes what is left when it goes, which must be after the logger.
struct LogQueue {
  std::shared_ptr<spdlog::details::thread_pool> pool =
      std::make_shared<spdlog::details::thread_pool>(kQueueMax, 1);
  std::shared_ptr<spdlog::async_logger> logger = std::make_shared<spdlog::async_logger>(
      "hone", std::make_shared<spdlog::sinks::stderr_sink_mt>(), pool,
      spdlog::async_overflow_policy::overrun_oldest);
};

}  // namespace

EventLog::Sink MakeLogSink(LogLevel least) {
  auto queue = std::make_shared<LogQueue>();
  queue->logger->set_pattern("%v");
  return [queue, least](LogLevel level, const std::string& line) {
    if (level < least) return;
    // As an argument: a line is no format.
    queue->logger->info("{}", line);
  };
}

}  // namespace hone

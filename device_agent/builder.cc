#include "device_agent/builder.h"

#include <array>
#include <boost/asio/post.hpp>
#include <cstdio>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

namespace asio = boost::asio;

// What the build worker says that it is.
StatusOr<pb::CompilerVersion> VersionOf(const std::string& program) {
  std::string text;
  if (FILE* output = popen(absl::StrCat("'", program, "' --version").c_str(), "r");
      output != nullptr) {
    std::array<char, 256> buffer = {};
    if (fgets(buffer.data(), buffer.size(), output) != nullptr) text = buffer.data();
    pclose(output);
  }
  std::istringstream words(text);
  std::string tool_version;
  int epoch = 0;
  if (!(words >> tool_version >> epoch)) {
    return absl::FailedPreconditionError(
        absl::StrCat(program, " does not say its version; install one of this version of hone"));
  }
  pb::CompilerVersion version;
  version.set_tool_version(tool_version);
  version.set_codegen_epoch(epoch);
  return version;
}

}  // namespace

StatusOr<std::unique_ptr<Builder>> Builder::Start(asio::io_context& context,
                                                  const BuilderSettings& settings,
                                                  const EventLog& log) {
  std::unique_ptr<Builder> builder(new Builder());
  BuildPool::Options pool;
  pool.program = settings.program;
  pool.workers = settings.workers;
  // First, because it says it best when the program is not there.
  HONE_ASSIGN_OR_RETURN(builder->pool_, BuildPool::Start(pool));
  BuilderOptions options;
  options.tracker = settings.tracker;
  options.tls_dir = settings.tls_dir;
  options.name = settings.name;
  options.boot = settings.boot;
  options.capacity = settings.workers;
  HONE_ASSIGN_OR_RETURN(options.version, VersionOf(settings.program));
  BuilderHandlers handlers;
  handlers.build = [pool = builder->pool_.get()](pb::BuildRequest request,
                                                 std::function<void(pb::BuildReply)> done) {
    pool->Submit(std::move(request), std::move(done));
  };
  handlers.on_link = [&log, tracker = settings.tracker](const Status& status) {
    if (status.ok()) {
      log.Write(Event::kLinkUp, {{"tracker", tracker}, {"for", "builds"}});
    } else {
      log.Write(Event::kLinkDown,
                {{"tracker", tracker}, {"for", "builds"}, {"why", status.message()}});
    }
  };
  handlers.on_refused = [&context, me = builder.get()](const Status& status) {
    asio::post(context, [&context, me, status] {
      me->status_ = status;
      context.stop();
    });
  };
  HONE_ASSIGN_OR_RETURN(builder->session_,
                        BuilderSession::Start(std::move(options), std::move(handlers)));
  return builder;
}

Builder::~Builder() {
  // First who hands out work, then who does it: what the workers are at is answered to nobody.
  session_.reset();
  pool_.reset();
}

}  // namespace hone

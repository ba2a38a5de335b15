#include "cli/farm_command.h"

#include <cstdlib>
#include <memory>

#include "base/clock.h"
#include "cli/default_paths.h"
#include "cli/farm_policy.h"
#include "rpc/farm_admin.h"

namespace hone {
namespace {

struct FarmOptions {
  std::string tracker = DefaultTracker(std::getenv);
  std::string tls_dir;
  FarmDecision decision;
};

StatusOr<ExitCode> Run(const FarmOptions& options, const Console& console) {
  if (options.tracker.empty()) {
    return absl::InvalidArgumentError(
        "no tracker named; give --tracker ADDRESS or set HONE_TRACKER");
  }
  const int64_t now_unix_ms = SystemClock().UnixMillis();
  HONE_ASSIGN_OR_RETURN(
      auto admin, FarmAdmin::Connect(options.tracker,
                                     TlsDirFor(options.tracker, options.tls_dir, std::getenv)));
  const auto policy = options.decision.action.empty()
                          ? admin->GetPolicy()
                          : admin->ChangePolicy([&](pb::FarmPolicy* latest) {
                              return Decide(options.decision, now_unix_ms, latest);
                            });
  HONE_RETURN_IF_ERROR(policy.status());
  console.out << PolicyReport(*policy, now_unix_ms, console.out_is_tty ? console.width : 0);
  return ExitCode::kOk;
}

}  // namespace

Command MakeFarmCommand() {
  auto options = std::make_shared<FarmOptions>();
  FarmDecision& decision = options->decision;
  return {
      .name = "farm",
      .group = CommandGroup::kFarm,
      .summary = "say who may use which device of a farm, and how much",
      .description =
          "Without an action, shows what the farm's owners decided. Users share devices evenly "
          "by the time that their work takes; of one user's work the more urgent goes first "
          "(`hone tune --priority`).\n\n"
          "drain DEVICE --why TEXT: it finishes what it has and gets no new work; undrain DEVICE "
          "opens it again.\n\n"
          "reserve DEVICE --user USER --hours N: it works for one user alone; release DEVICE ends "
          "it.\n\n"
          "limit USER --devices N --batches N --weight W: for USER, or '*' for all without limits "
          "of their own. 0 takes a limit away; twice the weight is twice the share.",
      .options =
          {{"ACTION", "", "drain, undrain, reserve, release or limit", &decision.action},
           {"NAME", "", "the device, or the user for limit", &decision.name},
           {"--why", "TEXT", "what those are told whose work waits", &decision.why},
           {"--user", "USER", "whom a device is reserved for", &decision.user},
           {"--hours", "N", "for how long, from now on", &decision.hours},
           {"--devices", "N", "devices that work for a user at a time; -1: as before",
            &decision.devices_max},
           {"--batches", "N", "batches of a user that wait or run; -1: as before",
            &decision.batches_max},
           {"--weight", "W", "share of the user, 1 is everyone's; -1: as before", &decision.weight},
           {"--tracker", "ADDRESS", "host:port, or unix:/path; the default is $HONE_TRACKER",
            &options->tracker},
           {"--tls-dir", "DIR",
            "certificates for a tracker on another machine; default: $HONE_TLS_DIR, or where "
            "`hone join` puts them",
            &options->tls_dir}},
      .examples = {"hone farm --tracker 127.0.0.1:7710",
                   "hone farm drain pi-3 --why 'waits for a new fan'",
                   "hone farm reserve jetson-1 --user ada --hours 2",
                   "hone farm limit '*' --devices 4"},
      .next = "hone devices shows what each device does.",
      .run = [options](const Console& console) { return Run(*options, console); },
  };
}

}  // namespace hone

#include "cli/farm_command.h"

#include <cstdlib>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "cli/default_paths.h"
#include "cli/farm_policy.h"
#include "cli/farm_security.h"
#include "rpc/audit_chain.h"
#include "rpc/farm_admin.h"

namespace hone {
namespace {

struct FarmOptions {
  std::string tracker = DefaultTracker(std::getenv);
  std::string tls_dir;
  FarmDecision decision;
  // Of tokens.
  std::string role;
  std::string member;
  int64_t minutes = 15;
  // Of the audit trail.
  bool verify = false;
};

StatusOr<ExitCode> MakeToken(const FarmOptions& options, int64_t now_unix_ms, FarmAdmin& admin,
                             const Console& console) {
  if (options.role.empty() || options.member.empty()) {
    return absl::InvalidArgumentError(
        "whose token? `hone farm token --role agent --name pi-3`, or --role tuner, reader, admin, "
        "builder, daemon");
  }
  pb::MakeTokenRequest request;
  request.set_identity(absl::StrCat(options.role, "/", options.member));
  request.set_valid_ms(options.minutes * 60'000);
  HONE_ASSIGN_OR_RETURN(const pb::MakeTokenReply reply, admin.MakeToken(request));
  console.out << TokenReport(request.identity(), options.tracker, reply, now_unix_ms);
  return ExitCode::kOk;
}

StatusOr<ExitCode> ShowAudit(const FarmOptions& options, FarmAdmin& admin, const Console& console) {
  HONE_ASSIGN_OR_RETURN(const std::vector<pb::AuditEntry> trail, admin.ReadAudit());
  if (!options.verify) {
    console.out << AuditReport(trail, console.out_is_tty ? console.width : 0);
    return ExitCode::kOk;
  }
  const Status status = CheckAuditChain(0, "", trail);
  if (!status.ok()) {
    console.out << status.message() << "\n";
    return ExitCode::kCheckFailed;
  }
  console.out << "all " << trail.size() << " entries follow from each other"
              << (trail.empty() ? "" : "; last hash " + trail.back().hash()) << "\n";
  return ExitCode::kOk;
}

StatusOr<ExitCode> Run(const FarmOptions& options, const Console& console) {
  if (options.tracker.empty()) {
    return absl::InvalidArgumentError(
        "no tracker named; give --tracker ADDRESS or set HONE_TRACKER");
  }
  const int64_t now_unix_ms = SystemClock().UnixMillis();
  HONE_ASSIGN_OR_RETURN(
      auto admin, FarmAdmin::Connect(options.tracker,
                                     TlsDirFor(options.tracker, options.tls_dir, std::getenv)));
  if (options.decision.action == "token") {
    return MakeToken(options, now_unix_ms, *admin, console);
  }
  if (options.decision.action == "audit") return ShowAudit(options, *admin, console);
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
      .summary = "say who belongs to a farm and may use which device, and how much",
      .description =
          "Without an action, shows what the farm's owners decided. Users share devices evenly "
          "by the time that their work takes; of one user's work the more urgent goes first "
          "(`hone tune --priority`).\n\n"
          "drain DEVICE --why TEXT: it finishes what it has and gets no new work; undrain DEVICE "
          "opens it again.\n\n"
          "reserve DEVICE --user USER --hours N: it works for one user alone; release DEVICE ends "
          "it.\n\n"
          "accept DEVICE: its speed is right as it is now. Its canaries are learned anew, and it "
          "leaves quarantine.\n\n"
          "limit USER --devices N --batches N --weight W: for USER, or '*' for all without limits "
          "of their own. 0 takes a limit away; twice the weight is twice the share.\n\n"
          "token --role ROLE --name NAME --minutes N: prints a token with which NAME joins the "
          "farm "
          "once (`hone-agent join` on a board, `hone join` for people). Roles: agent, builder, "
          "tuner, daemon, reader, admin.\n\n"
          "revoke ROLE/NAME --why TEXT: the certificates that NAME has count no more, until NAME "
          "joins again; unrevoke ROLE/NAME takes it back.\n\n"
          "audit: who changed the farm, or tried to; audit --verify checks that no entry was "
          "changed or taken away.",
      .options =
          {{"ACTION", "",
            "drain, undrain, reserve, release, accept, limit, token, revoke, unrevoke or audit",
            &decision.action},
           {"NAME", "", "the device, the user for limit, ROLE/NAME for revoke", &decision.name},
           {"--why", "TEXT", "what those are told whose work waits", &decision.why},
           {"--user", "USER", "whom a device is reserved for", &decision.user},
           {"--hours", "N", "for how long, from now on", &decision.hours},
           {"--devices", "N", "devices that work for a user at a time; -1: as before",
            &decision.devices_max},
           {"--batches", "N", "batches of a user that wait or run; -1: as before",
            &decision.batches_max},
           {"--weight", "W", "share of the user, 1 is everyone's; -1: as before", &decision.weight},
           {"--role", "ROLE", "what the token's holder will be", &options->role},
           {"--name", "NAME", "who the token is for", &options->member},
           {"--minutes", "N", "how long the token can be used, at most 60", &options->minutes,
            false, 1},
           {"--verify", "", "only check the audit trail", &options->verify},
           {"--tracker", "ADDRESS",
            "host:port or unix:/path, several with commas; the default is $HONE_TRACKER",
            &options->tracker},
           {"--tls-dir", "DIR",
            "certificates for a tracker on another machine; default: $HONE_TLS_DIR, or where "
            "`hone join` puts them",
            &options->tls_dir}},
      .examples = {"hone farm --tracker 127.0.0.1:7710",
                   "hone farm drain pi-3 --why 'waits for a new fan'",
                   "hone farm reserve jetson-1 --user ada --hours 2",
                   "hone farm limit '*' --devices 4", "hone farm token --role agent --name pi-3",
                   "hone farm revoke tuner/eve --why 'left the team'", "hone farm audit --verify"},
      .next = "hone devices shows what each device does.",
      .run = [options](const Console& console) { return Run(*options, console); },
  };
}

}  // namespace hone

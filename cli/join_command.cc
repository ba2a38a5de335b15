#include "cli/join_command.h"

#include <cstdlib>
#include <memory>

#include "cli/default_paths.h"
#include "rpc/membership.h"

namespace hone {
namespace {

struct JoinOptions {
  std::string tracker;
  std::string token;
  std::string tls_dir;
};

StatusOr<ExitCode> Run(const JoinOptions& options, const Console& console) {
  const std::string folder = options.tls_dir.empty() ? DefaultTlsDir(std::getenv) : options.tls_dir;
  HONE_ASSIGN_OR_RETURN(const Identity identity,
                        JoinFarm(options.tracker, options.token, TlsFolder(folder)));
  console.out << "joined as " << identity.ToString() << "; the certificate is in " << folder
              << "\nNext: hone devices --tracker " << options.tracker << "\n";
  return ExitCode::kOk;
}

}  // namespace

Command MakeJoinCommand() {
  auto options = std::make_shared<JoinOptions>();
  return {
      .name = "join",
      .group = CommandGroup::kFarm,
      .summary = "become a member of a farm on other machines, with a token",
      .description =
          "Takes a token that an owner of the farm made (`hone farm token`), makes a private key, "
          "and gets a certificate for it, which the other commands then use by themselves. The key "
          "never leaves this machine. The token says which farm it is of: another that answers at "
          "the address learns nothing.\n\nBoards join with `hone-agent join` instead.",
      .options = {{"TRACKER", "", "host:port of the farm's tracker", &options->tracker, true},
                  {"TOKEN", "", "as the owner of the farm sent it", &options->token, true},
                  {"--tls-dir", "DIR",
                   "where the certificate goes; default: $HONE_TLS_DIR, or ~/.config/hone/tls",
                   &options->tls_dir}},
      .examples = {"hone join farm.example.com:7710 hone1.7711.SECRET.FINGERPRINT"},
      .next = "hone devices --tracker ADDRESS",
      .run = [options](const Console& console) { return Run(*options, console); },
  };
}

}  // namespace hone

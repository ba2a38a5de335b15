#include "cli/commands.h"

#include "cli/bench_command.h"
#include "cli/cancel_command.h"
#include "cli/check_command.h"
#include "cli/compile_command.h"
#include "cli/devices_command.h"
#include "cli/doctor_command.h"
#include "cli/farm_command.h"
#include "cli/jobs_command.h"
#include "cli/join_command.h"
#include "cli/records_command.h"
#include "cli/run_command.h"
#include "cli/submit_command.h"
#include "cli/tune_command.h"
#include "cli/watch_command.h"
#include "cli/why_command.h"
#include "cli/zoo_command.h"

namespace hone {

std::vector<Command> AllCommands() {
  return {
      MakeTuneCommand(),   MakeCompileCommand(), MakeZooCommand(),     MakeRunCommand(),
      MakeCheckCommand(),  MakeBenchCommand(),   MakeRecordsCommand(), MakeDevicesCommand(),
      MakeSubmitCommand(), MakeJobsCommand(),    MakeWatchCommand(),   MakeCancelCommand(),
      MakeWhyCommand(),    MakeFarmCommand(),    MakeJoinCommand(),    MakeDoctorCommand(),
  };
}

}  // namespace hone

#include "cli/commands.h"

#include "cli/bench_command.h"
#include "cli/check_command.h"
#include "cli/compile_command.h"
#include "cli/devices_command.h"
#include "cli/doctor_command.h"
#include "cli/farm_command.h"
#include "cli/join_command.h"
#include "cli/records_command.h"
#include "cli/run_command.h"
#include "cli/tune_command.h"
#include "cli/zoo_command.h"

namespace hone {

std::vector<Command> AllCommands() {
  return {
      MakeTuneCommand(),  MakeCompileCommand(), MakeZooCommand(),     MakeRunCommand(),
      MakeCheckCommand(), MakeBenchCommand(),   MakeRecordsCommand(), MakeDevicesCommand(),
      MakeFarmCommand(),  MakeJoinCommand(),    MakeDoctorCommand(),
  };
}

}  // namespace hone

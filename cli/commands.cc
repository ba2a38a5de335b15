#include "cli/commands.h"

#include "cli/devices_command.h"
#include "cli/doctor_command.h"
#include "cli/records_command.h"

namespace hone {

std::vector<Command> AllCommands() {
  return {
      MakeRecordsCommand(),
      MakeDevicesCommand(),
      MakeDoctorCommand(),
  };
}

}  // namespace hone

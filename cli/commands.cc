#include "cli/commands.h"

#include "cli/doctor_command.h"
#include "cli/records_command.h"

namespace hone {

std::vector<Command> AllCommands() {
  return {
      MakeRecordsCommand(),
      MakeDoctorCommand(),
  };
}

}  // namespace hone

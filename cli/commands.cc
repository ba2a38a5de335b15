#include "cli/commands.h"

#include "cli/doctor_command.h"

namespace hone {

std::vector<Command> AllCommands() {
  return {
      MakeDoctorCommand(),
  };
}

}  // namespace hone

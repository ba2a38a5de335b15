// `hone doctor`: what this machine lacks for tuning well, and the way to it.
#pragma once

#include "cli/command.h"

namespace hone {

Command MakeDoctorCommand();

}  // namespace hone

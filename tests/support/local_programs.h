// Where programs of hone are, and where they listen, for tests and benchmarks that start them.
#pragma once

#include <string>

namespace hone {

// In HONE_BIN_DIR, or in the release build of the folder that we are in.
std::string ProgramPath(const std::string& name);

// A port of TCP that is free now; 0 if there is none.
int FreePort();
// A connection to this port of 127.0.0.1, for the caller to close; -1 if nobody takes it.
int ConnectTo(int port);
// Whether somebody takes connections at this port of 127.0.0.1.
bool SomebodyListens(int port);

}  // namespace hone

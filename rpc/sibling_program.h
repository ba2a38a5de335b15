// Where the other programs of this installation are. Used by whoever starts one as a child.
#pragma once

#include <string>

namespace hone {

// Path of a program that is installed beside this one: in $HONE_BIN_DIR, or this one's folder.
std::string SiblingProgram(const std::string& name);

}  // namespace hone

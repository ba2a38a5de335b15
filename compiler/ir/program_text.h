// The text form of loop programs, for dumps, golden tests and tests that start from a program. What
// is printed parses back to an equal program.
//
//   program/1
//   param n 1..64
//   input x f32 [n,8]
//   output y f32 [n,8]
//   prepare {
//     ...
//   }
//   run {
//     parallel i in n {
//       allocate acc register f32 [8]
//       straight_line for k in 4 {
//         let t = x[ramp(i*8,1;8)]
//         acc[ramp(0,1;8)] = fma(t,t,acc[ramp(0,1;8)])
//       }
//       if i<3 {
//         prefetch x[i*8]
//       } else {
//         y[i*8] = acc[0]
//       }
//     }
//   }
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "base/status.h"
#include "compiler/ir/stmt.h"

namespace hone {

std::string ToString(const Program& program);
// Statements alone, one a line, indented by two spaces a level.
std::string ToString(const Stmt& s);

// Errors name line and column.
StatusOr<Program> ParseProgram(absl::string_view text);

}  // namespace hone

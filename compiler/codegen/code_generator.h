// The code generator for CPUs: a lowered Program becomes an Artifact, a shared object by the rules
// of runtime/kernel.h. The compiler calls it last; it changes nothing about how a program computes.
// LLVM ends the process on errors of its own, so it runs in a build worker.
#pragma once

#include <string>

#include "base/status.h"
#include "base/target.h"
#include "compiler/ir/stmt.h"
#include "proto/artifact.pb.h"

namespace hone {

// `program` is lowered: one flat index an access, no vector or unroll loops, math expanded. The
// manifest has everything but the buffers' layouts; compile_ns is left to who holds a clock.
// InvalidArgument if the program is not lowered or the target has no generator; FailedPrecondition
// if the machine code breaks the ABI's rules (the message names the symbol).
StatusOr<pb::Artifact> GenerateCode(const Program& program, const Target& target);

// The same machine code as assembly text, for tests and dumps.
StatusOr<std::string> GenerateAssembly(const Program& program, const Target& target);
// The LLVM IR it comes from, verified.
StatusOr<std::string> GenerateLlvmIr(const Program& program, const Target& target);

}  // namespace hone

// Numerics: how far a kernel's results may stray from the exact ones, as a class that a person
// chooses. The space asks it which algorithms there are, the build worker which steps are legal,
// the agent which errors count; records are kept by it. It measures nothing itself.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/status.h"
#include "base/target.h"

namespace hone {

enum class Numerics { kStrict, kFp32, kFast, kBf16, kInt8 };

// "strict", "fp32", "fast", "bf16", "int8": as the command line, the wire and the database have it.
absl::string_view NumericsName(Numerics numerics);
// InvalidArgument lists the classes.
StatusOr<Numerics> ParseNumerics(absl::string_view name);

// What its kernels may do, in one line: "plain fp32 multiply-adds, direct algorithms".
absl::string_view NumericsDescription(Numerics numerics);

// The most that the rms error against float64 may be over that of sequential fp32 on the same
// inputs: 1.2, 4 or 64; 0 for bf16, whose bound is of another kind.
double SequentialErrorFactor(Numerics numerics);

// The largest tile F(tile, 3) of Winograd's whose error stays within the class; 0: none may be.
int WinogradTileMax(Numerics numerics);

// Whether products of matrices may be made by Strassen's algorithm within the class.
bool AllowsStrassen(Numerics numerics);

// The fewest products of bf16 parts that may stand for an fp32 product within the class: 6, 3 or 1;
// 0: it may not be split.
int SplitTermsMin(Numerics numerics);

// Whether sums may be made over blocks and rescaled to a common factor as they go on.
bool MayRescaleSums(Numerics numerics);

// The classes whose kernels keep to this one too: itself, then the coarsest of the others first.
std::vector<Numerics> ClassesWithin(Numerics numerics);

// OK if kernels of the class can be made for the target; else Unimplemented, naming what the device
// lacks.
Status CheckNumerics(Numerics numerics, const Target& target);

}  // namespace hone

// Rule: derives sketches for one kind of stage. Each rule is a function in a file of its own that
// looks at the index maps and the target alone, and gives nothing where it does not apply;
// derive.cc lists them. What a rule gives is legal by construction: tiles fit the registers and a
// straight-line block has at most kMaxBlockOperations operations.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/numerics.h"
#include "base/target.h"
#include "compiler/schedule/loop_nest.h"
#include "tuner/space/access.h"
#include "tuner/space/sketch_writer.h"

namespace hone {

// Vector operations of one straight-line block; more compile slowly and gain nothing.
inline constexpr int64_t kMaxBlockOperations = 128;
// Rows that a matrix unit is for; fewer leave it idle.
inline constexpr int64_t kTileRowsMin = 4;

// A stage that computes one of the anchor's operands from a few values each: it becomes the body of
// the copy that is made for the anchor, inside `loop` of `host`.
struct OperandPlace {
  std::string stage;
  std::string host, loop;
  int point = 0;       // along this index of the operand, all is made of the same values
  std::string source;  // what makes these inside of the copy, in pieces for the first cache; or ""
  // The dim of the anchor that the loop cuts into strips, if it does: how many of its points each
  // may have, and how a sketch says how many.
  std::string strip_dim = "";
  std::vector<int64_t> strips = {};
  std::string strip = "";
};

// What a rule sees: the workload after its elementwise stages were written into their readers.
struct RuleInput {
  const LoopNest& nest;
  const Target& target;
  SketchWriter begin;  // holds the schedule lines that made `nest`; every sketch goes on from it
  const StageNest* anchor = nullptr;  // the one reduction, read by `output` alone; null if none
  // What computes the anchor's operands point by point, a stage each, where it was worth keeping:
  // `begin` has them before the anchor. `begin_near` leaves to the rule where they are computed.
  std::vector<const StageNest*> producers;
  SketchWriter begin_near{"", ""};
  std::optional<OperandPlace> near;     // of an operand; rules that make no copies ignore it
  const StageNest* output = nullptr;    // the last stage
  Numerics numerics = Numerics::kFp32;  // that the sketches must keep to
};

// The layout of a tensor, identity where none was given.
Layout LayoutOf(const LoopNest& nest, absl::string_view tensor);

// The output's dims as memory has them, outermost first, each once (where it varies slowest), and
// the one that varies fastest: vectors run along it.
struct OutputOrder {
  std::vector<std::string> dims;
  std::string vector_dim;
  int64_t vector_block = 0;  // elements that lie side by side; 0: the whole dim does
};
OutputOrder OrderOf(const LoopNest& nest, const StageNest& stage);

// Whether a vector of consecutive points of `dim` reads consecutive elements of memory, one
// element (broadcast), or elements apart (gather).
enum class VectorRead { kContiguous, kBroadcast, kGather };
VectorRead VectorReadOf(const LoopNest& nest, const Access& access, absl::string_view dim,
                        int64_t lanes);

// Extent of a dim of the stage, reduce dims included.
int64_t DimExtent(const LoopNest& nest, const StageNest& stage, absl::string_view dim);

// Whether the tensor is a constant, or a prologue that is computed ahead.
bool IsConstant(const RuleInput& input, absl::string_view tensor);

// What each of the output's dims is called in the anchor; dims that do not index it are missing.
std::map<std::string, std::string> AnchorDims(const RuleInput& input);

std::vector<Sketch> ContractionRule(const RuleInput& input);
std::vector<Sketch> TileRule(const RuleInput& input);
std::vector<Sketch> WinogradRule(const RuleInput& input);
std::vector<Sketch> StrassenRule(const RuleInput& input);
std::vector<Sketch> DotRule(const RuleInput& input);
std::vector<Sketch> DepthwiseRule(const RuleInput& input);
std::vector<Sketch> ReductionRule(const RuleInput& input);
std::vector<Sketch> ElementwiseRule(const RuleInput& input);
std::vector<Sketch> CopyRule(const RuleInput& input);
std::vector<Sketch> RowRule(const RuleInput& input);
std::vector<Sketch> StripRule(const RuleInput& input);
std::vector<Sketch> RunningRule(const RuleInput& input);
// Applies to everything: stages one after the other.
std::vector<Sketch> GeneralRule(const RuleInput& input);

}  // namespace hone

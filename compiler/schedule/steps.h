// The kinds of schedule step: one struct and three functions each (print, parse what follows the
// verb, apply), each in a file of its own. Schedule holds them; the table of verbs is in
// schedule.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/text_reader.h"
#include "compiler/schedule/loop_nest.h"

namespace hone {

// Points of a tile at most.
inline constexpr int64_t kTileMax = int64_t{1} << 30;

// layout.cc:  layout BUFFER LAYOUT
struct LayoutStep {
  std::string buffer;
  Layout layout;
  friend bool operator==(const LayoutStep&, const LayoutStep&) = default;
};

// cache.cc:  cache BUFFER STAGE [as DTYPE]
struct CacheStep {
  std::string buffer;
  std::string stage;
  std::optional<DType> dtype;
  friend bool operator==(const CacheStep&, const CacheStep&) = default;
};

// compute_at.cc:  prepare STAGE | at STAGE HOST LOOP | inline STAGE
struct PrepareStep {
  std::string stage;
  friend bool operator==(const PrepareStep&, const PrepareStep&) = default;
};
struct AtStep {
  std::string stage;
  std::string host;
  std::string loop;
  friend bool operator==(const AtStep&, const AtStep&) = default;
};
struct InlineStep {
  std::string stage;
  friend bool operator==(const InlineStep&, const InlineStep&) = default;
};

// param.cc:  param NAME MIN..MAX
struct ParamStep {
  Param param;
  friend bool operator==(const ParamStep&, const ParamStep&) = default;
};

// tile.cc:  tile STAGE LOOP SIZE [by MULTIPLE] | tile STAGE LOOP PARAM
struct TileStep {
  std::string stage;
  std::string loop;
  int64_t size = 1;
  int64_t multiple = 0;
  std::string param;  // the size, where that is known at run time only; `size` is 1 then
  friend bool operator==(const TileStep&, const TileStep&) = default;
};

// fuse.cc:  fuse STAGE OUTER INNER
struct FuseStep {
  std::string stage;
  std::string outer;
  std::string inner;
  friend bool operator==(const FuseStep&, const FuseStep&) = default;
};

// hilbert.cc:  hilbert STAGE OUTER INNER
struct HilbertStep {
  std::string stage;
  std::string outer;
  std::string inner;
  friend bool operator==(const HilbertStep&, const HilbertStep&) = default;
};

// reorder.cc:  reorder STAGE LOOP...
struct ReorderStep {
  std::string stage;
  std::vector<std::string> loops;
  friend bool operator==(const ReorderStep&, const ReorderStep&) = default;
};

// annotate.cc:  vectorize|unroll|parallel STAGE LOOP
struct AnnotateStep {
  LoopKind kind = LoopKind::kUnroll;
  std::string stage;
  std::string loop;
  friend bool operator==(const AnnotateStep&, const AnnotateStep&) = default;
};

// microkernel.cc:  microkernel STAGE LOOP
struct MicrokernelStep {
  std::string stage;
  std::string loop;
  friend bool operator==(const MicrokernelStep&, const MicrokernelStep&) = default;
};

// prefetch.cc:  prefetch BUFFER STAGE BLOCKS
struct PrefetchStep {
  std::string buffer;
  std::string stage;
  int64_t blocks = 0;
  friend bool operator==(const PrefetchStep&, const PrefetchStep&) = default;
};

// stream.cc:  stream BUFFER STAGE 0|1
struct StreamStep {
  std::string buffer;
  std::string stage;
  int64_t past = 0;
  friend bool operator==(const StreamStep&, const StreamStep&) = default;
};

// split_reduce.cc:  split_reduce STAGE LOOP
struct SplitReduceStep {
  std::string stage;
  std::string loop;
  friend bool operator==(const SplitReduceStep&, const SplitReduceStep&) = default;
};

// accumulate.cc:  accumulate STAGE
struct AccumulateStep {
  std::string stage;
  friend bool operator==(const AccumulateStep&, const AccumulateStep&) = default;
};

// winograd.cc:  winograd STAGE DIM TILE
struct WinogradStep {
  std::string stage;
  std::string dim;
  int64_t tile = 2;
  friend bool operator==(const WinogradStep&, const WinogradStep&) = default;
};

// strassen.cc:  strassen STAGE ROW COLUMN SUM BLOCK
struct StrassenStep {
  std::string stage;
  std::string row;
  std::string column;
  std::string sum;
  int64_t block = 1;  // columns side by side that belong to one half
  friend bool operator==(const StrassenStep&, const StrassenStep&) = default;
};

// im2col.cc:  im2col STAGE
struct Im2colStep {
  std::string stage;
  friend bool operator==(const Im2colStep&, const Im2colStep&) = default;
};

// flatten.cc:  flatten STAGE OUTER INNER
struct FlattenStep {
  std::string stage;
  std::string outer;
  std::string inner;
  friend bool operator==(const FlattenStep&, const FlattenStep&) = default;
};

// running.cc:  running STAGE BLOCK
struct RunningStep {
  std::string stage;
  int64_t block = 1;
  friend bool operator==(const RunningStep&, const RunningStep&) = default;
};

// tensorize.cc:  tensorize STAGE LOOP INTRINSIC
struct TensorizeStep {
  std::string stage;
  std::string loop;
  std::string intrinsic;
  friend bool operator==(const TensorizeStep&, const TensorizeStep&) = default;
};

// How many bf16 parts an fp32 value falls into where so many terms are kept: the products of parts
// i and j with i + j < parts. 0: there is no such split.
int64_t PartsOfTerms(int64_t terms);

// split_precision.cc:  split STAGE TERMS
struct SplitPrecisionStep {
  std::string stage;
  int64_t terms = 1;
  friend bool operator==(const SplitPrecisionStep&, const SplitPrecisionStep&) = default;
};

// pad.cc:  pad STAGE DIM MULTIPLE
struct PadStep {
  std::string stage;
  std::string dim;
  int64_t multiple = 1;
  friend bool operator==(const PadStep&, const PadStep&) = default;
};

using Step = std::variant<LayoutStep, CacheStep, PrepareStep, AtStep, InlineStep, TileStep,
                          FuseStep, ReorderStep, AnnotateStep, MicrokernelStep, PrefetchStep,
                          StreamStep, SplitReduceStep, AccumulateStep, WinogradStep, StrassenStep,
                          Im2colStep, FlattenStep, SplitPrecisionStep, PadStep, RunningStep,
                          TensorizeStep, HilbertStep, ParamStep>;

std::string ToString(const LayoutStep& step);
std::string ToString(const CacheStep& step);
std::string ToString(const PrepareStep& step);
std::string ToString(const AtStep& step);
std::string ToString(const InlineStep& step);
std::string ToString(const ParamStep& step);
std::string ToString(const TileStep& step);
std::string ToString(const FuseStep& step);
std::string ToString(const HilbertStep& step);
std::string ToString(const ReorderStep& step);
std::string ToString(const AnnotateStep& step);
std::string ToString(const MicrokernelStep& step);
std::string ToString(const PrefetchStep& step);
std::string ToString(const StreamStep& step);
std::string ToString(const SplitReduceStep& step);
std::string ToString(const AccumulateStep& step);
std::string ToString(const WinogradStep& step);
std::string ToString(const StrassenStep& step);
std::string ToString(const Im2colStep& step);
std::string ToString(const FlattenStep& step);
std::string ToString(const SplitPrecisionStep& step);
std::string ToString(const PadStep& step);
std::string ToString(const RunningStep& step);
std::string ToString(const TensorizeStep& step);
std::string ToString(const Step& step);

StatusOr<Step> ParseLayout(TextReader& reader);
StatusOr<Step> ParseCache(TextReader& reader);
StatusOr<Step> ParsePrepare(TextReader& reader);
StatusOr<Step> ParseAt(TextReader& reader);
StatusOr<Step> ParseInline(TextReader& reader);
StatusOr<Step> ParseParam(TextReader& reader);
StatusOr<Step> ParseTile(TextReader& reader);
StatusOr<Step> ParseFuse(TextReader& reader);
StatusOr<Step> ParseHilbert(TextReader& reader);
StatusOr<Step> ParseReorder(TextReader& reader);
StatusOr<Step> ParseVectorize(TextReader& reader);
StatusOr<Step> ParseUnroll(TextReader& reader);
StatusOr<Step> ParseParallel(TextReader& reader);
StatusOr<Step> ParseMicrokernel(TextReader& reader);
StatusOr<Step> ParsePrefetch(TextReader& reader);
StatusOr<Step> ParseStream(TextReader& reader);
StatusOr<Step> ParseSplitReduce(TextReader& reader);
StatusOr<Step> ParseAccumulate(TextReader& reader);
StatusOr<Step> ParseWinograd(TextReader& reader);
StatusOr<Step> ParseStrassen(TextReader& reader);
StatusOr<Step> ParseIm2col(TextReader& reader);
StatusOr<Step> ParseFlatten(TextReader& reader);
StatusOr<Step> ParseSplitPrecision(TextReader& reader);
StatusOr<Step> ParsePad(TextReader& reader);
StatusOr<Step> ParseRunning(TextReader& reader);
StatusOr<Step> ParseTensorize(TextReader& reader);

// Each checks that the step is legal on the nest as it is and changes it, or says why not and
// leaves it as it was.
Status Apply(const LayoutStep& step, LoopNest& nest);
Status Apply(const CacheStep& step, LoopNest& nest);
Status Apply(const PrepareStep& step, LoopNest& nest);
Status Apply(const AtStep& step, LoopNest& nest);
Status Apply(const InlineStep& step, LoopNest& nest);
Status Apply(const ParamStep& step, LoopNest& nest);
Status Apply(const TileStep& step, LoopNest& nest);
Status Apply(const FuseStep& step, LoopNest& nest);
Status Apply(const HilbertStep& step, LoopNest& nest);
Status Apply(const ReorderStep& step, LoopNest& nest);
Status Apply(const AnnotateStep& step, LoopNest& nest);
Status Apply(const MicrokernelStep& step, LoopNest& nest);
Status Apply(const PrefetchStep& step, LoopNest& nest);
Status Apply(const StreamStep& step, LoopNest& nest);
Status Apply(const SplitReduceStep& step, LoopNest& nest);
Status Apply(const AccumulateStep& step, LoopNest& nest);
Status Apply(const WinogradStep& step, LoopNest& nest);
Status Apply(const StrassenStep& step, LoopNest& nest);
Status Apply(const Im2colStep& step, LoopNest& nest);
Status Apply(const FlattenStep& step, LoopNest& nest);
Status Apply(const SplitPrecisionStep& step, LoopNest& nest);
Status Apply(const PadStep& step, LoopNest& nest);
Status Apply(const RunningStep& step, LoopNest& nest);
Status Apply(const TensorizeStep& step, LoopNest& nest);
Status Apply(const Step& step, LoopNest& nest);

}  // namespace hone

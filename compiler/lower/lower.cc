#include "compiler/lower/lower.h"

#include "compiler/lower/build_loops.h"
#include "compiler/lower/contract.h"
#include "compiler/lower/expand_math.h"
#include "compiler/lower/expand_microkernel.h"
#include "compiler/lower/expand_tiles.h"
#include "compiler/lower/flatten_buffers.h"
#include "compiler/lower/loop_ranges.h"
#include "compiler/lower/lower_padding.h"
#include "compiler/lower/partition_loops.h"
#include "compiler/lower/pipeline_tiles.h"
#include "compiler/lower/sum_in_tiles.h"
#include "compiler/lower/tensorize_loops.h"
#include "compiler/lower/trim_padding.h"
#include "compiler/lower/unique_names.h"
#include "compiler/lower/unroll_loops.h"
#include "compiler/lower/vectorize_loops.h"

namespace hone {
namespace {

// Runs passes over both functions of a program.
class Pipeline {
 public:
  Pipeline(Program& program, const LowerOptions& options) : program_(program), options_(options) {}

  template <typename Pass>
  Status Run(absl::string_view name, Pass pass) {
    for (Stmt* s : {&program_.prepare, &program_.run}) {
      if (!*s) continue;
      HONE_ASSIGN_OR_RETURN(*s, StatusOr<Stmt>(pass(*s)));
    }
    if (options_.after_pass) options_.after_pass(name, program_);
    return absl::OkStatus();
  }

 private:
  Program& program_;
  const LowerOptions& options_;
};

std::map<std::string, std::vector<Expr>> LogicalShapes(const Program& program) {
  std::map<std::string, std::vector<Expr>> shapes;
  for (const Buffer& buffer : program.buffers) shapes[buffer.name] = buffer.shape;
  for (const Stmt* s : {&program.prepare, &program.run}) {
    if (!*s) continue;
    Visit(*s, [&](const Stmt& node) {
      if (node.kind() == StmtKind::kAllocate) shapes[node->buffer.name] = node->buffer.shape;
    });
  }
  return shapes;
}

bool HasMultiplyAdd(const Target& target) {
  return target.arch != "x86_64" || target.HasFeature("fma") || target.HasFeature("avx512f");
}

}  // namespace

StatusOr<Program> Lower(const LoopNest& nest, const Target& target, const LowerOptions& options) {
  HONE_ASSIGN_OR_RETURN(BuiltLoops built, BuildLoops(nest));
  Ranges ranges = ParamRanges(nest.params);
  const auto add_let_ranges = [&ranges](const Program& program) {
    for (const Stmt* s : {&program.prepare, &program.run}) {
      if (*s) AddLetRanges(*s, ranges);
    }
  };
  add_let_ranges(built.program);
  const int bits = target.VectorBits();
  {
    // Padding speaks of logical indices, so it goes before these become positions. First what need
    // not be read at all; then reads are guarded. Cutting loops right after leaves few conditions
    // for the passes below.
    const auto shapes = LogicalShapes(built.program);
    Pipeline logical(built.program, options);
    HONE_RETURN_IF_ERROR(
        logical.Run("trim_padding", [&](const Stmt& s) { return TrimPadding(s, shapes, ranges); }));
    HONE_RETURN_IF_ERROR(logical.Run(
        "lower_padding", [&](const Stmt& s) { return LowerPadding(s, shapes, ranges); }));
    HONE_RETURN_IF_ERROR(logical.Run("partition_loops", [&](const Stmt& s) {
      return PartitionLoops(s, ranges, built.layouts);
    }));
  }
  Program program = FlattenBuffers(built);
  add_let_ranges(program);  // cutting loops makes new ones
  Pipeline flat(program, options);
  HONE_RETURN_IF_ERROR(
      flat.Run("simplify", [&](const Stmt& s) { return SimplifyStmt(s, ranges); }));
  // While sums of products are still that: what follows would make multiply-adds of them.
  HONE_RETURN_IF_ERROR(
      flat.Run("expand_tiles", [&](const Stmt& s) { return ExpandTiles(s, target, ranges); }));
  HONE_RETURN_IF_ERROR(
      flat.Run("sum_in_tiles", [&](const Stmt& s) { return SumInTiles(s, ranges); }));
  HONE_RETURN_IF_ERROR(
      flat.Run("pipeline_tiles", [&](const Stmt& s) { return PipelineTiles(s, ranges); }));
  HONE_RETURN_IF_ERROR(flat.Run("tensorize_loops",
                                [&](const Stmt& s) { return TensorizeLoops(s, target, ranges); }));
  // Before anything is written out, while there is one of each expression.
  if (HasMultiplyAdd(target)) {
    HONE_RETURN_IF_ERROR(flat.Run("contract_multiply_add", ContractMultiplyAdd));
  }
  // Micro-kernels first: their vector and unrolled loops mean the register tile, not loops at
  // large.
  HONE_RETURN_IF_ERROR(flat.Run(
      "expand_microkernel", [&](const Stmt& s) { return ExpandMicrokernel(s, target, ranges); }));
  HONE_RETURN_IF_ERROR(
      flat.Run("vectorize_loops", [&](const Stmt& s) { return VectorizeLoops(s, bits, ranges); }));
  HONE_RETURN_IF_ERROR(flat.Run("unroll_loops", UnrollLoops));
  // After vectorisation, so that one expansion serves all lanes.
  HONE_RETURN_IF_ERROR(flat.Run("expand_math", ExpandMath));
  // After the last pass that makes names.
  HONE_RETURN_IF_ERROR(flat.Run("unique_names", UniqueNames));
  return program;
}

}  // namespace hone

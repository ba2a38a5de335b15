// Schedule, one of the five nouns: how a workload is computed, as a list of small immutable steps.
// Search, storage, replay and debugging all use this one value and its text form. Applying it to a
// workload gives a LoopNest, or says which step is illegal and why. It never computes anything.
//
//   schedule/1
//   layout x 0,1/8,2,3,1%8     memory of a boundary buffer or a stage's tensor
//   cache w c                  stage w@c copies what stage c reads of w
//   prepare w@c                computed once, from constants
//   tile y o 16 by 8           loops o.0 and o.1
//   tile y w 6
//   param rows 1..28           a size that the kernel is told when it runs
//   tile y h rows              blocks of so many; the last has what is left
//   reorder y o.0 h w.0 w.1 o.1
//   unroll y w.1
//   vectorize y o.1            or a loop that reduces: lanes hold partial results
//   at c y w.0                 stage c computed inside y's loop w.0
//   tile c i 8
//   reorder c i.0 p q i.1 w o
//   microkernel c i.1          from loop i.1 inwards one straight-line block on registers
//   prefetch w@c c 16          each block fetches ahead what the 16th block after it reads
//   stream x@c c 1             each tile of x@c is read past the first cache
//   fuse y n o.0               loop n_o.0
//   hilbert y n_o.0 h           loop n_o.0_h, which goes through both along a Hilbert curve
//   parallel y n_o.0_h
//   inline s                   stage s written into its readers
//   winograd c h 2             c along h by Winograd's F(2, taps): stages c.d, c.g, c.m and c
//   strassen c m n k 8         c[m,n], sums over k, by Strassen's 7 products of quarters
//   im2col c                   c reads its windows from patches, the stage c.p: a matrix product
//   flatten c h w              c's dims h and w become one, h_w
//   split c 3                  c by bf16 parts of its operands, 3 products of them: see x@c, w@c
//   pad c i 32                 c's sum over i goes on over zeros, to a multiple of 32
//   running top 128            what follows the maximum top, over blocks of 128: see top.r
//   accumulate y               the reduction y as a stage y.a of its own, y its copy
//
// One file a step, each with its picture; `steps.h` lists them.
#pragma once

#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/numerics.h"
#include "base/text_reader.h"
#include "compiler/schedule/loop_nest.h"
#include "compiler/schedule/steps.h"

namespace hone {

struct Schedule {
  std::vector<Step> steps;

  std::string ToString() const;
  // An unknown step gives Unimplemented (a record of a newer hone), any other fault
  // InvalidArgument; both with line and column. `what` names the text in errors.
  static StatusOr<Schedule> Parse(absl::string_view text, absl::string_view what = "schedule");
  // The layouts at the kernel's boundary as the database keeps them: "x 0,1/8,2,3,1%8;y ...",
  // without buffers that lie as their shapes say.
  std::string BoundaryLayoutText(const Workload& workload) const;

  friend bool operator==(const Schedule&, const Schedule&) = default;
};

// The same for layouts, one a buffer of the workload.
std::string BoundaryLayoutText(const Workload& workload, const std::vector<Layout>& layouts);

// Applies the steps in order. Errors are "step 3 (tile y z 6): stage y has no loop z; ...".
StatusOr<LoopNest> ApplySchedule(const Schedule& schedule, const Workload& workload);

// Whether the numerics class allows the algorithms that the schedule takes. InvalidArgument names
// the first step that it does not. (How exact a kernel of a coarser class is, its measured error
// says: any algorithm may be good enough.)
Status CheckAlgorithms(const Schedule& schedule, Numerics numerics);

// Reads one schedule after the other. A line is parsed when it is seen for the first time:
// candidates of one sketch share most of theirs.
class ScheduleReader {
 public:
  // As Schedule::Parse. `text` gets what Schedule::ToString gives, unless it is null.
  StatusOr<Schedule> Read(absl::string_view lines, std::string* text);

 private:
  struct Line {
    Step step;
    std::string text;
  };
  // Null where the line alone is no step.
  const Line* LineOf(const std::string& text);

  std::unordered_map<std::string, Line> known_;
};

// Applies one schedule after the other to a workload. Steps that a schedule begins with like the
// one before it are not applied again: candidates of one sketch share their first lines.
class ScheduleSeries {
 public:
  explicit ScheduleSeries(const Workload& workload) : whole_(workload), shared_(whole_) {}

  // As ApplySchedule.
  StatusOr<LoopNest> Apply(const Schedule& schedule);

 private:
  const LoopNest whole_;
  std::vector<Step> last_;
  size_t shared_steps_ = 0;
  LoopNest shared_;  // after the first `shared_steps_` of `last_`
};

}  // namespace hone

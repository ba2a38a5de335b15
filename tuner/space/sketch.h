// Sketch: a Schedule with holes, each hole with the values it may take. The rules of this folder
// derive sketches for any workload, and a person's template is one too; the search knows nothing
// else. A sketch never looks at a workload: whether what it gives is legal, ApplySchedule says.
//
//   sketch/1 rows                      a name, for people
//   hole ob in 8, 16                   values are integers,
//   hole nr in 2, 4, 6
//   hole inner in "h w.0", "w.0 h"     or pieces of text
//   require floordiv(ob,8)*nr <= 12    over the integer holes; all must hold
//   schedule/1
//   tile y o ?ob by 8                  ?NAME stands for the hole's value, anywhere in a line
//   tile y w ?nr
//   reorder y n o.0 ?inner w.1 o.1
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/status.h"
#include "compiler/ir/expr.h"
#include "compiler/schedule/schedule.h"

namespace hone {

struct Hole {
  std::string name;
  std::vector<std::string> values;  // as they are written into the schedule; at least one
  std::vector<int64_t> numbers;     // the values; empty for text
  bool is_text = false;             // values are quoted in the sketch's text form
};

// One value a hole: its position in the hole's domain.
using Assignment = std::vector<int>;

class Sketch {
 public:
  // InvalidArgument with line and column. `what` names the text in errors: a file name.
  static StatusOr<Sketch> Parse(absl::string_view text, absl::string_view what = "sketch");
  std::string ToString() const;

  const std::string& name() const { return name_; }
  const std::vector<Hole>& holes() const { return holes_; }
  // How many assignments there are, those that break a requirement included.
  int64_t Size() const;

  // The same with these lines at the beginning of the schedule.
  Sketch WithFirstLines(absl::string_view lines) const;

  // Whether all requirements hold.
  bool Satisfies(const Assignment& assignment) const;
  // The schedule's text with every hole filled. The assignment has one valid entry a hole
  // (HONE_CHECKed).
  std::string Fill(const Assignment& assignment) const;
  // The same, parsed; an error names the line of the sketch's text.
  StatusOr<Schedule> Instantiate(const Assignment& assignment) const;
  // "ob=16 nr=6 inner=h w.0", for people.
  std::string Describe(const Assignment& assignment) const;

 private:
  // The schedule's text is literal[0] value(hole[0]) literal[1] ... literal[n].
  std::vector<std::string> literals_;
  std::vector<int> places_;
  std::string name_;
  std::vector<Hole> holes_;
  std::vector<Expr> requirements_;
  int schedule_line_ = 0;  // of the word "schedule/1" in the parsed text, from 0
  std::string what_;
};

}  // namespace hone

// Which visits that were not quiet are worth a second try. One that others disturbed for a moment
// is quiet a little later; but where the machine is never at its best, as under a hypervisor,
// waiting mends nothing, and tries would take longer than all else that a batch does. So they are
// made as long as they help. Used by the worker, for as long as it lives; what is not tried again
// keeps its flag.
#pragma once

namespace hone {

class SecondTries {
 public:
  // So many candidates are raced, for a verdict if `final`: of these all have a try.
  void BeginBatch(int candidates, bool final);
  // Whether one more may be made; it counts as made.
  bool Take();
  // What came of it.
  void Note(bool helped);

 private:
  static constexpr int kInVainMax = 3;  // one after another, after which a batch has no more

  int left_ = 0;
  int in_vain_ = 0;  // one after another
  bool final_ = false;
};

}  // namespace hone

// The race of a batch's candidates: who is visited next and how, whom another visit is worth, and
// who drops out, by the rules of racing.h. The batch runner has the visits made on a device, tests
// and race_bench on made-up or recorded times. It never runs a kernel, and time is its course's.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "device_agent/measure/estimator.h"
#include "device_agent/measure/orders.h"
#include "device_agent/measure/second_tries.h"

namespace hone {

// The visit that an answer tells of.
Visit VisitOf(const Answer& answer);

// Where a race is run.
class RaceCourse {
 public:
  virtual ~RaceCourse() = default;
  // One visit of a racer. nullopt: it is out of the race; why is the course's to know.
  virtual std::optional<Answer> Carry(int racer, const Order& order) = 0;
  virtual int64_t NowNs() = 0;
  virtual void Pause(int64_t duration_ns) = 0;
};

class Race {
 public:
  struct Options {
    bool final = false;        // a duel of all, for a verdict
    double best_known_ns = 0;  // of earlier batches; 0: none known
    double reference_ns = 0;   // who is clearly slower than the default need not run; 0: no such
    double gflops_max = 0;     // of the core, as far as is known
    SecondTries* tries = nullptr;  // of visits that were not quiet; never null
  };
  struct Racer {
    double estimate_ns = 0;
    Estimator estimator;
    bool raced_out = false;
    bool held_back = false;  // its last visit, with a matrix unit
    bool is_out = false;     // the course said so
  };

  // One racer for each estimate, of its checked run.
  Race(const Options& options, const std::vector<double>& estimates_ns, RaceCourse& course);

  // Returns who did best, best first: those whose times are worth a second look.
  std::vector<int> Run();

  const Racer& racer(int index) const { return racers_[index]; }

 private:
  void RunFirstVisit(int index);
  // Once more, later, for a candidate that may only have met a neighbour: a sample if it was raced
  // out, a visit if its first was not quiet.
  void RunSecondChance(int index);
  // In turns, until all have had theirs or nothing is left to decide.
  void RunVisits(const std::vector<int>& indices, int (*visits)(double), int64_t gap_ns);
  // Again while it is not quiet, as long as second tries are worth it. `anew`: itself in place of a
  // first visit that was not quiet, and no longer than that.
  void RunVisit(int index, bool anew = false);
  std::optional<Answer> Carry(int index, const Order& order);
  // Adds it to what is known of the racer and of the core; returns whether it was quiet.
  bool Add(Racer& racer, const Answer& answer);
  bool IsDecidedAmong(const std::vector<int>& indices, int index) const;
  // Whether one more visit may be made because another was not quiet; waits a moment before, unless
  // the core was quiet since.
  bool TakeRetry();
  std::vector<int> Survivors(std::vector<int> (*choose)(const std::vector<double>&, double)) const;
  double BestNs() const;

  const Options options_;
  RaceCourse& course_;
  std::vector<Racer> racers_;
  double gflops_max_;
  double best_in_batch_ns_;
  bool is_quiet_now_ = true;  // as far as the last visit told
};

}  // namespace hone

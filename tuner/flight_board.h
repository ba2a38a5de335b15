// FlightBoard: the flights of a TuningSession that are under way, in the order in which they
// started. Carries what they ask to the builders and to the farm, and the answers back to them.
// Decides neither what flies nor what an answer means. For one thread, though builders answer from
// any.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "base/status.h"
#include "tuner/flight.h"
#include "tuner/measure/build_candidate.h"
#include "tuner/measure/measurer.h"

namespace hone {

class FlightBoard {
 public:
  // `measurer` outlives it.
  FlightBoard(BuildCandidate build, Measurer& measurer);

  bool empty() const { return flights_.empty(); }
  int size() const { return static_cast<int>(flights_.size()); }
  // Flights of a work, and the candidates in them.
  int FlightsOf(int work) const;
  int CandidatesOf(int work) const;
  bool AnyBuilding() const;
  bool AnyMeasuring() const;
  bool OldestArrived() const { return !flights_.empty() && flights_.front().result.has_value(); }

  // Adds a flight, younger than all others, and asks for its builds. Returns it; valid until it is
  // taken off.
  Flight& Start(Flight flight, std::vector<pb::BuildRequest> requests);
  // Null: not, or no longer, under way.
  Flight* Find(int id);
  // Sends its batch to the farm. Error: the farm could not be reached.
  Status Submit(Flight* flight);

  // What the builders have answered. Waits while something is being built, no longer than
  // `patience`, and hardly while something else may need an answer.
  std::vector<pb::BuildReply> TakeBuilds(absl::Duration patience);
  // Gives the flights the results that are there; waits in the same way. Error: the farm could not
  // be reached.
  Status TakeResults(absl::Duration patience);

  // The oldest flight, which is then off the board.
  Flight TakeOldest();
  // Drops all.
  void CancelAll();

 private:
  struct Mailbox;

  const BuildCandidate build_;
  Measurer& measurer_;
  // Outlives the board, since a builder may answer late.
  const std::shared_ptr<Mailbox> mailbox_;
  std::deque<Flight> flights_;
};

}  // namespace hone

// The doctor's judgement: facts of a machine and of its link to a farm in, findings with causes and
// remedies out. Pure: a table of checks (doctor.cc), each for a client, an agent or a tracker; the
// doctor command gathers the facts (machine_facts.h, link_facts.h) and prints the findings.
#pragma once

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "cli/link_facts.h"
#include "cli/machine_facts.h"

namespace hone {

enum class Verdict { kOk, kWarn, kFail };

struct Finding {
  Verdict verdict = Verdict::kOk;
  std::string subject;  // "cpu", "database"
  std::string what;     // what was found
  std::string remedy;   // what to do about it; "" when nothing is to be done
};

// What the machine is to be.
enum class Patient : unsigned { kClient = 1, kAgent = 2, kTracker = 4 };

struct DoctorFacts {
  MachineFacts machine;
  LinkFacts link;
};

// kWarn: it works, but worse or slower than it could. kFail: something does not work.
std::vector<Finding> Diagnose(const DoctorFacts& facts, Patient patient);

// One line a finding, remedies indented below, and a closing line.
std::string RenderFindings(const std::vector<Finding>& findings, Patient patient);

}  // namespace hone

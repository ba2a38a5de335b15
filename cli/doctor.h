// The doctor's judgement: facts of a machine in, findings with remedies out. Pure; the doctor
// command gathers the facts (machine_facts.h) and prints the findings.
#pragma once

#include <string>
#include <vector>

#include "cli/machine_facts.h"

namespace hone {

enum class Verdict { kOk, kWarn, kFail };

struct Finding {
  Verdict verdict = Verdict::kOk;
  std::string subject;  // "cpu", "database"
  std::string what;     // what was found
  std::string remedy;   // what to do about it; "" when nothing is to be done
};

// kWarn: tuning works, but measures worse or slower than it could. kFail: something does not work.
std::vector<Finding> Diagnose(const MachineFacts& facts);

// One line a finding, remedies indented below, and a closing line.
std::string RenderFindings(const std::vector<Finding>& findings);

}  // namespace hone

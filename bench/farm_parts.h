// The parts of farm_bench. Each prints what it finds, and its aims.
#pragma once

#include <string>
#include <vector>

namespace hone {

// A million batches wait: how long does FarmState think?
void BenchDecision();
// 10,000 agents on streams of their own, over loopback; and some that never read.
void BenchAgents();
// Of BenchAgents, in a process of its own: a few agents more, and what they see of the tracker.
inline constexpr char kBesideAgents[] = "--beside";
void BesideAgents(const std::string& tracker);
// The tracker is killed with much in its queue.
void BenchRestart();
// Agents 50 ms away: do they stand idle?
void BenchDistance();
// What a trial costs beside its kernel's own runs.
void BenchOverhead();
// What the check of permissions and the audit trail cost a call.
void BenchCalls();

// The value below which `share` of them are; 0 of none.
double PercentileOf(std::vector<double> values, double share);

}  // namespace hone

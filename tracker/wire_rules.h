// What agents, builders and daemons may say of themselves: names that tell somebody apart, numbers
// that can be counted on from. The services ask before the pure states hear of a message, so that
// those need not doubt it. Who may say it is a matter of rpc/permissions.h and rpc/identity.h.
#pragma once

#include "base/status.h"
#include "proto/builds.pb.h"
#include "proto/farm.pb.h"
#include "proto/tuning.pb.h"

namespace hone {

// InvalidArgument, naming the field, if it has no name or boot, has a device without a name or
// twice, or claims an epoch that no tracker gave.
Status CheckAgentState(const pb::AgentState& state);
// InvalidArgument if it does not say whose and of which attempt it is, or claims such an epoch.
Status CheckReport(const pb::ReportRequest& report);
// InvalidArgument for what no record could be made of that says where it comes from: a batch of
// candidates without its tuner's version; a result without the agent's version, sandbox and gate.
Status CheckProvenance(const pb::Batch& batch);
Status CheckProvenance(const pb::BatchResult& result);
// InvalidArgument if it has no name or boot, or builds fewer than none or more than any machine can
// at a time.
Status CheckBuilderState(const pb::BuilderState& state);
// The same of a daemon and its jobs.
Status CheckClaim(const pb::ClaimJobRequest& request);

}  // namespace hone

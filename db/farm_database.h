// FarmDatabase: all that a tracker keeps: records, its journal, jobs and builds, in one store,
// because there is one writer. Both stores of db/ are one.
#pragma once

#include "db/build_store.h"
#include "db/farm_journal.h"
#include "db/job_store.h"
#include "db/record_store.h"

namespace hone {

class FarmDatabase : public RecordStore, public FarmJournal, public JobStore, public BuildStore {};

}  // namespace hone

#include "tests/tracker/invariants.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"

namespace hone {
namespace {

constexpr const char* kActs[] = {"submit", "cancel", "fetch",   "unknown", "silent",
                                 "boot",   "report", "restart", "epoch",   "lease",
                                 "grant",  "commit", "calm"};
constexpr const char* kKinds[] = {"invoke", "ok", "fail", "info"};
// So long after a start nobody is told that no device could run their batch.
constexpr int64_t kRecoveringNs = int64_t{60} * 1'000'000'000;
constexpr absl::string_view kMeasured = "measured";

absl::string_view NameOf(absl::string_view process) { return process.substr(0, process.find(':')); }

template <typename Enum, size_t count>
bool Find(const char* const (&words)[count], const std::string& word, Enum* value) {
  for (size_t i = 0; i < count; ++i) {
    if (word == words[i]) {
      *value = static_cast<Enum>(i);
      return true;
    }
  }
  return false;
}

}  // namespace

// --- The text form

std::string HistoryEvent::ToLine() const {
  nlohmann::json line = {{"act", kActs[static_cast<int>(act)]},
                         {"kind", kKinds[static_cast<int>(kind)]},
                         {"t", time_ns}};
  const auto set = [&](const char* key, const std::string& text) {
    if (!text.empty()) line[key] = text;
  };
  set("process", process);
  set("batch", batch);
  set("device", device);
  set("user", user);
  set("outcome", outcome);
  if (epoch != 0) line["epoch"] = epoch;
  if (value != 0) line["value"] = value;
  return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

StatusOr<HistoryEvent> HistoryEvent::FromLine(absl::string_view text) {
  const auto bad = [&] {
    return absl::InvalidArgumentError(absl::StrCat("not an event of a history: ", text));
  };
  const nlohmann::json line =
      nlohmann::json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (!line.is_object()) return bad();
  const auto get = [&](const char* key) {
    return line.contains(key) && line[key].is_string() ? line[key].get<std::string>() : "";
  };
  const auto number = [&](const char* key) {
    return line.contains(key) && line[key].is_number_integer() ? line[key].get<int64_t>() : 0;
  };
  HistoryEvent event = {.time_ns = number("t"),
                        .process = get("process"),
                        .batch = get("batch"),
                        .device = get("device"),
                        .epoch = static_cast<uint64_t>(number("epoch")),
                        .user = get("user"),
                        .outcome = get("outcome"),
                        .value = number("value")};
  if (!Find(kActs, get("act"), &event.act) || !Find(kKinds, get("kind"), &event.kind)) return bad();
  return event;
}

// --- The rules

void Invariants::Violated(const HistoryEvent& event, absl::string_view which,
                          absl::string_view how) {
  violations_.push_back(absl::StrCat(which, ": ", how, ": ", event.ToLine()));
}

void Invariants::See(const HistoryEvent& event) {
  using Act = HistoryEvent::Act;
  switch (event.act) {
    case Act::kSubmit:
    case Act::kCancel:
    case Act::kFetch:
    case Act::kUnknown:
    case Act::kSilent:
      SeeClient(event);
      break;
    case Act::kBoot:
      lives_[std::string(NameOf(event.process))] = event.process;
      for (auto& [name, device] : devices_) {
        if (device.agent == NameOf(event.process)) device.agent.clear();
      }
      break;
    case Act::kReport:
      if (event.kind == HistoryEvent::Kind::kOk && event.outcome == "RECORDED" &&
          batches_[event.batch].committed.empty()) {
        Violated(event, "I3", "acknowledged, and not on disk");
      }
      break;
    case Act::kLease:
      SeeLease(event);
      break;
    case Act::kGrant:
      SeeGrant(event);
      break;
    case Act::kCommit:
      SeeCommit(event);
      break;
    case Act::kEpoch: {
      uint64_t& epoch = devices_[event.device].epoch;
      if (event.epoch <= epoch) {
        Violated(event, "I2", absl::StrCat("the device's epoch is ", epoch, " already"));
      }
      epoch = event.epoch;
      break;
    }
    case Act::kRestart:
      restarted_ns_ = event.time_ns;
      for (auto& [name, device] : devices_) {
        device.agent.clear();  // it knows of no lease
        device.was_there = device.epoch > 0;
      }
      break;
    case Act::kCalm:
      break;
  }
}

void Invariants::SeeClient(const HistoryEvent& event) {
  using Act = HistoryEvent::Act;
  using Kind = HistoryEvent::Kind;
  if (event.act == Act::kSilent) {
    silent_clients_.insert(event.process);
    return;
  }
  BatchFacts& batch = batches_[event.batch];
  if (event.act == Act::kSubmit) {
    batch.client = event.process;
    if (batch.asked_ns < 0) batch.asked_ns = event.time_ns;
    batch.taken_in |= event.kind == Kind::kOk;
    batch.refused = event.kind == Kind::kFail;
    const auto device = devices_.find(event.device);
    if (event.kind == Kind::kFail && event.outcome == "FAILED_PRECONDITION" && restarted_ns_ >= 0 &&
        batch.asked_ns >= restarted_ns_ && event.time_ns - restarted_ns_ < kRecoveringNs &&
        device != devices_.end() && device->second.was_there) {
      Violated(event, "I6", "refused while devices come back");
    }
  } else if (event.act == Act::kCancel) {
    batch.cancelled |= event.kind == Kind::kOk;
  } else if (event.act == Act::kFetch) {
    if (batch.committed != event.outcome) {
      Violated(event, "I3", absl::StrCat("on disk it is '", batch.committed, "'"));
    }
    if (!batch.fetched.empty() && batch.fetched != event.outcome) {
      Violated(event, "I5", absl::StrCat("it was '", batch.fetched, "' before"));
    }
    batch.fetched = event.outcome;
  } else if (batch.taken_in && !silent_clients_.contains(event.process)) {
    Violated(event, "I3", "taken in, and not known any more");
  }
}

void Invariants::SeeLease(const HistoryEvent& event) {
  DeviceFacts& device = devices_[event.device];
  if (event.epoch != device.epoch) {
    Violated(event, "I2", absl::StrCat("told, and ", device.epoch, " is what is safe"));
  }
  const auto [holder, first] = device.holders.try_emplace(event.epoch, event.process);
  if (holder->second != event.process) {
    Violated(event, "I1", absl::StrCat("this epoch is of ", holder->second));
  }
  const std::string agent(NameOf(event.process));
  if (!device.agent.empty() && device.agent != agent && event.time_ns < device.until_ns) {
    Violated(event, "I1", absl::StrCat(device.agent, " has it until ", device.until_ns));
  }
  // A life that is over needs no lease, though the tracker may not know that yet.
  const auto life = lives_.find(agent);
  device.agent = life == lives_.end() || life->second == event.process ? agent : "";
  device.until_ns = event.time_ns + event.value;
}

void Invariants::SeeGrant(const HistoryEvent& event) {
  for (const pb::UserPolicy& user : policy_.users()) {
    if (user.user() == event.user && user.devices_max() > 0 && event.value > user.devices_max()) {
      Violated(event, "I7", absl::StrCat("over the quota of ", user.devices_max(), " devices"));
    }
  }
  for (const pb::Reservation& reservation : policy_.reservations()) {
    if (reservation.device() == event.device && reservation.user() != event.user) {
      Violated(event, "I7", absl::StrCat("the device is reserved for ", reservation.user()));
    }
  }
}

void Invariants::SeeCommit(const HistoryEvent& event) {
  BatchFacts& batch = batches_[event.batch];
  if (!batch.committed.empty()) {
    Violated(event, "I5", absl::StrCat("it ended before: '", batch.committed, "'"));
  }
  if (!event.device.empty() && event.epoch != devices_[event.device].epoch) {
    Violated(event, "I4", absl::StrCat("the epoch is ", devices_[event.device].epoch));
  }
  // A client that is forgotten may come back and ask again.
  if (batch.cancelled && event.outcome == kMeasured && !silent_clients_.contains(batch.client)) {
    Violated(event, "I7", "its client was told that it is cancelled");
  }
  batch.committed = event.outcome;
}

void Invariants::CheckEnd() {
  for (const auto& [id, batch] : batches_) {
    if (batch.client.empty() || batch.refused || !batch.fetched.empty()) continue;
    violations_.push_back(
        absl::StrCat("I6: ", id, " of ", batch.client, " has no outcome, ",
                     batch.committed.empty() ? "and is not finished" : "though it is finished"));
  }
}

void Invariants::CheckStore(const RecordStore& store) {
  const StatusOr<std::vector<pb::Record>> records = store.Query({});
  if (!records.ok()) {
    violations_.push_back(absl::StrCat("the store cannot be read: ", records.status().ToString()));
    return;
  }
  std::map<std::string, int> records_of;
  const pb::Record* least = nullptr;
  for (const pb::Record& record : *records) {
    ++records_of[record.batch_id()];
    const pb::Measurement& m = record.measurement();
    if (m.failure() != pb::OK || !m.taint().empty()) continue;
    if (least == nullptr || m.cost_ns() < least->measurement().cost_ns()) least = &record;
  }
  for (const auto& [id, batch] : batches_) {
    const int wanted = batch.committed == kMeasured ? 1 : 0;
    if (records_of[id] == wanted) continue;
    violations_.push_back(absl::StrCat("I3: ", id, " ended '", batch.committed, "' and has ",
                                       records_of[id], " records of its candidate"));
  }
  if (least == nullptr) return;
  const auto best = store.Best({.workload_key = least->workload_key(),
                                .target = least->target(),
                                .numerics = least->numerics(),
                                .codegen_epoch = least->codegen_epoch()});
  if (!best.ok() || !best->has_value() ||
      (*best)->measurement().cost_ns() != least->measurement().cost_ns()) {
    violations_.push_back("I8: the best record is not the best of what counts");
  }
}

}  // namespace hone

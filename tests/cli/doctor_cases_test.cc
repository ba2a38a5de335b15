// The doctor held against misconfigurations, each with the one diagnosis that is right. Where a
// misconfiguration can be made here, it is; the others are facts as they would be read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "cli/doctor.h"
#include "db/memory_record_store.h"
#include "db/sqlite_record_store.h"
#include "tracker/tracker_server.h"

namespace hone {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr char kVersion[] = "0.1.0";

// A machine that lacks nothing, on a farm that lacks nothing.
DoctorFacts Healthy() {
  DoctorFacts facts;
  MachineFacts& machine = facts.machine;
  machine.arch = "x86_64";
  machine.cpu_model = "Some CPU";
  machine.cpu_flags = {"avx2", "fma"};
  machine.cores = 4;
  machine.speed.set_peak_gflops(103.34);
  machine.governor = "performance";
  machine.huge_pages = "madvise";
  machine.memory_available_bytes = int64_t{8} << 30;
  machine.database_path = "/data/records.db";
  machine.database_free_bytes = int64_t{8} << 30;
  machine.shm_writable = true;
  machine.shm_free_bytes = int64_t{1} << 30;
  machine.user_namespaces_max = 10'000;
  machine.programs = {{"hone-agent", "/bin/hone-agent"}};
  machine.descriptors_max = 65'536;
  LinkFacts& link = facts.link;
  link.version = kVersion;
  link.tracker = "farm:7710";
  link.knock = {.reach = Reach::kReached, .speaks = Speaks::kHttp2};
  link.farm.mutable_tracker()->set_version(kVersion);
  link.farm.mutable_tracker()->set_serving(true);
  pb::DeviceInfo& device = *link.farm.add_devices()->mutable_info();
  device.set_name("pi-3");
  device.set_state(pb::READY);
  return facts;
}

void SetDevice(DoctorFacts& facts, pb::DeviceState state, const std::string& why,
               const std::string& next) {
  pb::DeviceEntry& entry = *facts.link.farm.mutable_devices(0);
  entry.mutable_info()->set_state(state);
  entry.set_why(why);
  entry.set_next_step(next);
}

struct Case {
  const char* name;
  Patient patient;
  std::function<void(DoctorFacts&)> seed;
  const char* subject;  // of the one finding that is not "ok"
  const char* cause;    // in what it says
  const char* remedy;   // in what it says to do
};

const Case kCases[] = {
    {"no vector features", Patient::kAgent, [](DoctorFacts& f) { f.machine.cpu_flags = {"sse2"}; },
     "cpu", "no vector features", "pass the host's CPU through"},
    {"too few cores", Patient::kAgent, [](DoctorFacts& f) { f.machine.cores = 1; }, "cores",
     "1:", "a second core"},
    {"other load", Patient::kAgent, [](DoctorFacts& f) { f.machine.load = 4; }, "load", "4.0",
     "when it is quiet"},
    {"governor not performance", Patient::kAgent,
     [](DoctorFacts& f) { f.machine.governor = "powersave"; }, "governor", "powersave",
     "cpupower frequency-set"},
    {"no huge pages", Patient::kAgent, [](DoctorFacts& f) { f.machine.huge_pages = "never"; },
     "huge pages", "never", "transparent_hugepage"},
    {"little memory", Patient::kClient,
     [](DoctorFacts& f) { f.machine.memory_available_bytes = 1 << 20; }, "memory", "available",
     "close programs"},
    {"few open files", Patient::kTracker, [](DoctorFacts& f) { f.machine.descriptors_max = 256; },
     "open files", "256", "ulimit -n"},
    {"database on a network file system", Patient::kTracker,
     [](DoctorFacts& f) { f.machine.database_network = "nfs"; }, "database", "nfs",
     "a disk of this machine"},
    {"disk full", Patient::kTracker, [](DoctorFacts& f) { f.machine.database_free_bytes = 0; },
     "database", "0.0 GiB free", "free some space"},
    {"read-only disk", Patient::kTracker,
     [](DoctorFacts& f) { f.machine.database_read_only = true; }, "database", "read-only",
     "mount it for writing"},
    {"no right to the database", Patient::kTracker,
     [](DoctorFacts& f) { f.machine.database_problem = "Permission denied"; }, "database",
     "Permission denied", "give yourself the right"},
    {"small /dev/shm", Patient::kAgent, [](DoctorFacts& f) { f.machine.shm_free_bytes = 1 << 20; },
     "/dev/shm", "1 MiB", "--shm-size"},
    {"no /dev/shm", Patient::kAgent, [](DoctorFacts& f) { f.machine.shm_writable = false; },
     "/dev/shm", "cannot be written", "mount -t tmpfs"},
    {"no user namespaces", Patient::kAgent,
     [](DoctorFacts& f) { f.machine.user_namespaces_max = 0; }, "sandbox", "no user namespaces",
     "sysctl user.max_user_namespaces"},
    {"sandbox lower than asked", Patient::kAgent,
     [](DoctorFacts& f) {
       f.machine.sandbox_level = "L1";
       f.machine.sandbox_asked = "L3";
     },
     "sandbox level", "L1, lower than L3", "names the walls that stand"},
    {"spool not writable", Patient::kAgent,
     [](DoctorFacts& f) {
       f.machine.spool_path = "/var/spool/hone";
       f.machine.spool_problem = "Permission denied";
     },
     "spool", "/var/spool/hone cannot be written", "--spool"},
    {"a program missing", Patient::kClient,
     [](DoctorFacts& f) { f.machine.programs["hone-build-worker"] = ""; }, "programs",
     "hone-build-worker not found", "beside hone"},
    {"no permission on the socket", Patient::kClient,
     [](DoctorFacts& f) { f.link.knock.reach = Reach::kForbidden; }, "tracker", "permission denied",
     "right to the socket"},
    {"a firewall", Patient::kClient,
     [](DoctorFacts& f) {
       f.link.knock = {.reach = Reach::kNoAnswer, .detail = "Connection timed out"};
     },
     "tracker", "timed out", "firewall"},
    {"TLS offered to plain text", Patient::kClient,
     [](DoctorFacts& f) {
       f.link.offers_tls = true;
       f.link.call = absl::UnavailableError("nobody listens");
     },
     "tracker", "speaks plain text", "leave your certificates out"},
    {"expired certificate", Patient::kClient,
     [](DoctorFacts& f) {
       f.link.offers_tls = true;
       f.link.certificates = absl::FailedPreconditionError(
           "cert.pem expired 3 days ago; ask the farm's owner for a new one");
     },
     "certificates", "expired 3 days ago", "ask the farm's owner"},
    {"wrong authority", Patient::kClient,
     [](DoctorFacts& f) {
       f.link.offers_tls = true;
       f.link.knock.speaks = Speaks::kTls;
       f.link.call = absl::UnavailableError("handshake failed");
     },
     "tracker", "does not trust you", "of the same authority"},
    {"wrong role", Patient::kClient,
     [](DoctorFacts& f) {
       f.link.call = absl::PermissionDeniedError("agent/pi-3 may not call Farm/Submit");
     },
     "tracker", "does not let you", "of another role"},
    {"tracker of an older version", Patient::kClient,
     [](DoctorFacts& f) { f.link.call = absl::UnimplementedError("no such method"); }, "tracker",
     "older version", "the same version"},
    {"tracker of another version", Patient::kClient,
     [](DoctorFacts& f) { f.link.farm.mutable_tracker()->set_version("0.2.0"); }, "version",
     "the tracker is hone 0.2.0", "the same version"},
    {"tracker not serving", Patient::kClient,
     [](DoctorFacts& f) {
       f.link.farm.mutable_tracker()->set_serving(false);
       f.link.farm.mutable_tracker()->set_trouble("the disk is full");
     },
     "health", "the disk is full", "hone doctor tracker"},
    {"clocks apart", Patient::kAgent, [](DoctorFacts& f) { f.link.clock_ahead_ms = -7'200'000; },
     "clock", "7200 s behind", "timedatectl"},
    {"two agents of one name", Patient::kTracker,
     [](DoctorFacts& f) { f.link.farm.mutable_tracker()->add_name_conflicts("pi"); }, "agent names",
     "two agents have one name: pi", "--name"},
    {"agent in quarantine", Patient::kClient,
     [](DoctorFacts& f) { SetDevice(f, pb::QUARANTINED, "temperature: 90 C", "let it cool"); },
     "pi-3", "quarantined: temperature: 90 C", "let it cool"},
    {"agent drained", Patient::kClient,
     [](DoctorFacts& f) { SetDevice(f, pb::DRAINING, "drained: new fan", "hone farm undrain"); },
     "pi-3", "draining: drained: new fan", "undrain"},
    {"agent lost", Patient::kClient,
     [](DoctorFacts& f) { SetDevice(f, pb::LOST, "its agent is silent", "is it up?"); }, "pi-3",
     "lost: its agent is silent", "is it up?"},
    {"agent of another version", Patient::kTracker,
     [](DoctorFacts& f) {
       (*f.link.farm.mutable_devices(0)->mutable_info()->mutable_facts())["agent_version"] =
           "0.0.9";
     },
     "pi-3", "its agent is hone 0.0.9", "the same version"},
};

// The findings that are not "ok"; the doctor must find what is wrong, and nothing else.
std::vector<Finding> Complaints(const DoctorFacts& facts, Patient patient) {
  std::vector<Finding> complaints;
  for (Finding& finding : Diagnose(facts, patient)) {
    if (finding.verdict != Verdict::kOk) complaints.push_back(std::move(finding));
  }
  return complaints;
}

void ExpectOne(const std::vector<Finding>& complaints, const char* subject, const char* cause,
               const char* remedy) {
  ASSERT_EQ(complaints.size(), 1u) << testing::PrintToString([&] {
    std::string all;
    for (const Finding& finding : complaints) absl::StrAppend(&all, finding.subject, "; ");
    return all;
  }());
  EXPECT_EQ(complaints[0].subject, subject);
  EXPECT_THAT(complaints[0].what, HasSubstr(cause));
  EXPECT_THAT(complaints[0].remedy, HasSubstr(remedy));
}

TEST(DoctorCasesTest, FindsNothingWhereNothingIsWrong) {
  for (const Patient patient : {Patient::kClient, Patient::kAgent, Patient::kTracker}) {
    for (const Finding& finding : Complaints(Healthy(), patient)) ADD_FAILURE() << finding.what;
  }
}

TEST(DoctorCasesTest, FindsEachMisconfigurationAndNothingElse) {
  EXPECT_GE(std::size(kCases), 25u);
  for (const Case& seeded : kCases) {
    SCOPED_TRACE(seeded.name);
    DoctorFacts facts = Healthy();
    seeded.seed(facts);
    ExpectOne(Complaints(facts, seeded.patient), seeded.subject, seeded.cause, seeded.remedy);
  }
}

// --- Made for real

class RealDoctorTest : public ::testing::Test {
 protected:
  RealDoctorTest() {
    folder_ = fs::temp_directory_path() / absl::StrCat("hone-doctor-", std::random_device()());
    fs::create_directories(folder_);
  }
  ~RealDoctorTest() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  std::vector<Finding> OfTracker(const std::string& address) {
    DoctorFacts facts = Healthy();
    facts.link = ReadLinkFacts(address, "", kVersion);
    return Complaints(facts, Patient::kClient);
  }
  std::vector<Finding> OfDatabase(const fs::path& path) {
    DoctorFacts facts = Healthy();
    const MachineFacts read = ReadMachineFacts({.database_path = path, .program_dir = folder_});
    facts.machine.database_path = read.database_path;
    facts.machine.database_problem = read.database_problem;
    facts.machine.database_open = read.database_open;
    facts.machine.database_is_server = read.database_is_server;
    facts.machine.database_network = read.database_network;
    facts.machine.database_read_only = read.database_read_only;
    return Complaints(facts, Patient::kTracker);
  }

  fs::path folder_;
};

// Says one thing to whoever connects, and waits for them to go.
class Listener {
 public:
  explicit Listener(std::string says) : says_(std::move(says)) {
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in where = {};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&where), sizeof(where)), 0);
    EXPECT_EQ(listen(fd_, 16), 0);
    socklen_t size = sizeof(where);
    getsockname(fd_, reinterpret_cast<sockaddr*>(&where), &size);
    address_ = absl::StrCat("127.0.0.1:", ntohs(where.sin_port));
    thread_ = std::thread([this] {
      for (int peer; (peer = accept(fd_, nullptr, nullptr)) >= 0;) {
        send(peer, says_.data(), says_.size(), MSG_NOSIGNAL);
        shutdown(peer, SHUT_WR);
        char bytes[256];
        while (recv(peer, bytes, sizeof(bytes), 0) > 0) {
        }
        close(peer);
      }
    });
  }
  ~Listener() {
    shutdown(fd_, SHUT_RDWR);
    thread_.join();
    close(fd_);
  }
  const std::string& address() const { return address_; }

 private:
  const std::string says_;
  int fd_ = -1;
  std::string address_;
  std::thread thread_;
};

TEST_F(RealDoctorTest, SeesAWrongAddress) {
  ExpectOne(OfTracker("farm"), "tracker", "is no address", "host:7710");
  ExpectOne(OfTracker("farm:port"), "tracker", "is no address", "host:7710");
}

TEST_F(RealDoctorTest, SeesANameThatLeadsNowhere) {
  ExpectOne(OfTracker("no-such-host.invalid:7710"), "tracker", "nobody knows", "DNS");
}

TEST_F(RealDoctorTest, SeesAClosedPort) {
  std::string address;
  {
    address = Listener("").address();
  }
  ExpectOne(OfTracker(address), "tracker", "nobody listens on that port", "start hone-tracker");
}

TEST_F(RealDoctorTest, SeesASocketThatIsNotThere) {
  ExpectOne(OfTracker(absl::StrCat("unix:", (folder_ / "none").string())), "tracker",
            "no such socket", "check the path");
}

TEST_F(RealDoctorTest, SeesAWebServer) {
  const Listener web("HTTP/1.1 400 Bad Request\r\n\r\n");
  ExpectOne(OfTracker(web.address()), "tracker", "is a web server", "hone-tracker --listen");
}

TEST_F(RealDoctorTest, SeesThatTlsIsWanted) {
  const Listener tls(std::string("\x15\x03\x01\x00\x02\x02\x46", 7));
  ExpectOne(OfTracker(tls.address()), "tracker", "wants TLS", "certificates");
}

TEST_F(RealDoctorTest, SeesAFarmWithoutAgents) {
  MemoryRecordStore store;
  const SystemClock clock;
  const auto server = TrackerServer::Start({.listen = "127.0.0.1:0"}, store, clock);
  ASSERT_TRUE(server.ok()) << server.status();
  ExpectOne(OfTracker((*server)->address()), "devices", "no agent has registered",
            "start hone-agent");
}

TEST_F(RealDoctorTest, SeesADatabaseOfANewerHone) {
  const fs::path path = folder_ / "newer.db";
  {
    ASSERT_TRUE(
        SqliteRecordStore::Open({.path = path, .mode = SqliteOpenOptions::Mode::kWrite}).ok());
  }
  // SQLite keeps user_version at byte 60, high byte first.
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(60);
  file.write("\x00\x00\x23\x28", 4);
  file.close();
  ExpectOne(OfDatabase(path), "database", "written by a newer hone", "use that hone");
}

TEST_F(RealDoctorTest, SeesAPostgresServerThatIsNotThere) {
  ExpectOne(OfDatabase(absl::StrCat("postgresql://ada:secret@/farm?host=", folder_.string())),
            "database", "database postgresql://ada@", "is PostgreSQL running there");
}

TEST_F(RealDoctorTest, SeesAFileThatIsNoDatabase) {
  const fs::path path = folder_ / "text.db";
  std::ofstream(path) << std::string(8192, 'x');
  const std::vector<Finding> complaints = OfDatabase(path);
  ASSERT_EQ(complaints.size(), 1u);
  EXPECT_EQ(complaints[0].subject, "database");
}

TEST_F(RealDoctorTest, SeesWhatKindOfProgramTheWorkerIs) {
  EXPECT_EQ(KindOfWorker(""), WorkerKind::kMissing);
  EXPECT_EQ(KindOfWorker("/proc/self/exe"), WorkerKind::kDynamic);
  std::ofstream(folder_ / "script") << "#!/bin/sh\n";
  EXPECT_EQ(KindOfWorker(folder_ / "script"), WorkerKind::kNoProgram);
  const struct {
    WorkerKind kind;
    const char* cause;
    const char* remedy;
  } kinds[] = {{WorkerKind::kMissing, "hone-worker is missing", "install it beside"},
               {WorkerKind::kDynamic, "shared libraries", "linked statically"},
               {WorkerKind::kNoProgram, "no program of this machine", "this processor"}};
  for (const auto& kind : kinds) {
    DoctorFacts facts = Healthy();
    facts.machine.worker = kind.kind;
    ExpectOne(Complaints(facts, Patient::kAgent), "worker", kind.cause, kind.remedy);
  }
}

TEST_F(RealDoctorTest, SeesProgramsThatAreMissing) {
  const std::string path = std::getenv("PATH");
  setenv("PATH", "/nowhere", 1);
  const MachineFacts read =
      ReadMachineFacts({.database_path = folder_ / "r.db", .program_dir = folder_});
  setenv("PATH", path.c_str(), 1);
  EXPECT_EQ(read.programs.at("hone-build-worker"), "");
  EXPECT_EQ(read.worker, WorkerKind::kMissing);
}

}  // namespace
}  // namespace hone

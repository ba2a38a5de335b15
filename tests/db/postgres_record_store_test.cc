#include "db/postgres_record_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sqlite3.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <set>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "db/postgres_leadership.h"
#include "db/schema.h"
#include "tests/support/postgres_test.h"
#include "tests/support/some_record.h"

namespace hone {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

// Stands between a store and its server, and cuts connections at a word that is said.
class Line {
 public:
  // `said`: where the store connects, a folder for a socket as the server's own has it.
  Line(const std::string& server_folder, std::string folder)
      : server_(server_folder + "/.s.PGSQL.5432"), folder_(std::move(folder)) {
    std::filesystem::create_directories(folder_);
    listener_ = socket(AF_UNIX, SOCK_STREAM, 0);
    const sockaddr_un address = Address(folder_ + "/.s.PGSQL.5432");
    EXPECT_EQ(bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(listener_, 8), 0);
    thread_ = std::thread([this] { Run(); });
  }
  ~Line() {
    ending_ = true;
    thread_.join();
    close(listener_);
    std::filesystem::remove_all(folder_);
  }

  // The next time `word` is said: the server hears it (or not), and the store no answer.
  void CutAt(const std::string& word, bool heard) {
    heard_ = heard;
    word_ = word;
    armed_ = true;
  }
  bool was_cut() const { return !armed_; }

 private:
  static sockaddr_un Address(const std::string& path) {
    sockaddr_un address = {.sun_family = AF_UNIX};
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    return address;
  }

  void Run() {
    while (!ending_) {
      pollfd waiting = {.fd = listener_, .events = POLLIN};
      if (poll(&waiting, 1, 20) <= 0) continue;
      const int store = accept(listener_, nullptr, nullptr);
      const int server = socket(AF_UNIX, SOCK_STREAM, 0);
      const sockaddr_un address = Address(server_);
      if (connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
        Relay(store, server);
      }
      close(store);
      close(server);
    }
  }

  // Until one of the two hangs up, or the line is cut.
  void Relay(int store, int server) {
    std::string buffer(1 << 16, '\0');
    while (!ending_) {
      pollfd ends[] = {{.fd = store, .events = POLLIN}, {.fd = server, .events = POLLIN}};
      if (poll(ends, 2, 20) <= 0) continue;
      for (const int side : {0, 1}) {
        if (ends[side].revents == 0) continue;
        const ssize_t count = read(ends[side].fd, buffer.data(), buffer.size());
        if (count <= 0) return;
        const absl::string_view said(buffer.data(), count);
        const bool cut = side == 0 && armed_ && absl::StrContains(said, word_);
        if (!cut || heard_) {
          EXPECT_EQ(write(ends[1 - side].fd, said.data(), said.size()), count);
        }
        if (!cut) continue;
        // The server has done it by the time that it answers.
        pollfd answer = {.fd = server, .events = POLLIN};
        if (heard_) poll(&answer, 1, 5'000);
        armed_ = false;
        return;
      }
    }
  }

  const std::string server_;
  const std::string folder_;
  int listener_ = -1;
  std::atomic<bool> ending_ = false;
  std::string word_;
  bool heard_ = false;
  std::atomic<bool> armed_ = false;  // after the two above
  std::thread thread_;
};

class PostgresRecordStoreTest : public PostgresTest {
 protected:
  std::unique_ptr<PostgresLeadership> Lead(const std::string& address,
                                           milliseconds silence_max = milliseconds(5'000)) {
    auto leadership =
        PostgresLeadership::Open({.url = url_, .address = address, .silence_max = silence_max});
    EXPECT_TRUE(leadership.ok()) << leadership.status();
    return *std::move(leadership);
  }
  StatusOr<std::unique_ptr<PostgresRecordStore>> Open(uint64_t term, const std::string& url = "") {
    return PostgresRecordStore::Open({.url = url.empty() ? url_ : url, .term = term});
  }
  // Takes the lead and opens the database to write.
  std::unique_ptr<PostgresRecordStore> OpenAsLeader() {
    leadership_ = Lead("a:1");
    EXPECT_EQ(leadership_->Poll(), absl::OkStatus());
    auto store = Open(leadership_->term());
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
  static Status WriteOne(FarmJournal& journal, const JournalEntry& entry) {
    return journal.Write({entry}).front().status;
  }
  std::string Run(const std::string& sql) { return cluster_->Run(url_, sql); }
  // Every session but the asker's own.
  void EndSessions() {
    Run("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid != pg_backend_pid()");
  }

  std::unique_ptr<PostgresLeadership> leadership_;
};

TEST_F(PostgresRecordStoreTest, HasTheTablesAndColumnsOfSqlite) {
  OpenAsLeader();
  sqlite3* sqlite = nullptr;
  ASSERT_EQ(sqlite3_open(":memory:", &sqlite), SQLITE_OK);
  for (const char* text : SchemaMigrations()) {
    ASSERT_EQ(sqlite3_exec(sqlite, text, nullptr, nullptr, nullptr), SQLITE_OK);
  }
  std::set<std::string> of_sqlite;
  const auto add = [](void* set, int, char** values, char**) {
    static_cast<std::set<std::string>*>(set)->insert(absl::StrCat(values[0], ".", values[1]));
    return 0;
  };
  sqlite3_exec(sqlite,
               "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c "
               "WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'",
               add, &of_sqlite, nullptr);
  sqlite3_exec(sqlite,
               "SELECT 'index', name FROM sqlite_schema WHERE type = 'index' "
               "AND name NOT LIKE 'sqlite_%'",
               add, &of_sqlite, nullptr);
  sqlite3_close(sqlite);
  EXPECT_GT(of_sqlite.size(), 40);
  const std::string of_postgres =
      Run("SELECT string_agg(name, ' ') FROM ("
          "SELECT table_name || '.' || column_name AS name FROM information_schema.columns "
          "WHERE table_schema = 'public' AND table_name NOT IN ('hone_schema', 'farm_leader') "
          "UNION ALL SELECT 'index.' || indexname FROM pg_indexes WHERE schemaname = 'public' "
          "AND indexname NOT LIKE '%_pkey' AND indexname NOT LIKE '%_key_key' "
          "AND indexname NOT LIKE '%_text_key' AND indexname NOT LIKE '%_batch_id_key') AS names");
  std::set<std::string> names;
  for (size_t begin = 0; begin < of_postgres.size();) {
    const size_t end = std::min(of_postgres.find(' ', begin), of_postgres.size());
    names.insert(of_postgres.substr(begin, end - begin));
    begin = end + 1;
  }
  EXPECT_EQ(names, of_sqlite);
}

TEST_F(PostgresRecordStoreTest, RefusesADatabaseOfANewerHoneByName) {
  const uint64_t term = [this] {
    OpenAsLeader();
    return leadership_->term();
  }();
  leadership_.reset();
  Run("UPDATE hone_schema SET version = 999");
  for (const Status& status : {Open(term).status(), Open(0).status(), Lead("b:1")->Poll()}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()), HasSubstr("newer hone (schema version 999"));
  }
}

TEST_F(PostgresRecordStoreTest, SaysThatThereIsNothingYet) {
  EXPECT_EQ(Open(0).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(PostgresRecordStoreTest, LeavesTheTablesOfAnotherProgramAsTheyAre) {
  Run("CREATE TABLE job (name TEXT)");
  const Status status = Lead("a:1")->Poll();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("a database of its own"));
  EXPECT_EQ(Run("SELECT count(*)::text FROM information_schema.tables "
                "WHERE table_schema = 'public'"),
            "1");
}

TEST_F(PostgresRecordStoreTest, SaysWhereItCannotConnectWithoutThePassword) {
  const auto nobody = PostgresLeadership::Open(
      {.url = absl::StrCat("postgresql://ada:secret@/farm?host=", cluster_->folder(), "/no")});
  EXPECT_EQ(nobody.status().code(), absl::StatusCode::kUnavailable) << nobody.status();
  EXPECT_THAT(std::string(nobody.status().message()), HasSubstr("ada@"));
  EXPECT_THAT(std::string(nobody.status().message()), HasSubstr("is PostgreSQL running there"));
  EXPECT_THAT(std::string(nobody.status().message()), ::testing::Not(HasSubstr("secret")));
  const auto missing = PostgresLeadership::Open(
      {.url = absl::StrCat("postgresql://hone@/nothing?host=", cluster_->folder())});
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound) << missing.status();
  EXPECT_EQ(PostgresLeadership::Open({.url = "postgresql://[oops"}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(PostgresRecordStoreTest, GoesOnWhenItsConnectionIsLost) {
  auto store = OpenAsLeader();
  ASSERT_EQ(store->Append({SomeRecord("a")}), absl::OkStatus());
  EndSessions();
  EXPECT_EQ(store->Query({})->size(), 1);
  EndSessions();
  EXPECT_EQ(store->Append({SomeRecord("b")}), absl::OkStatus());
  EXPECT_EQ(store->Query({})->size(), 2);
}

TEST_F(PostgresRecordStoreTest, WritesOnceWhatItLostTheAnswerOf) {
  auto leader = OpenAsLeader();
  Line line(cluster_->folder(), absl::StrCat(cluster_->folder(), "/line"));
  auto store = Open(leadership_->term(), url_ + "/line");  // `host` stands last
  ASSERT_TRUE(store.ok()) << store.status();
  ASSERT_EQ((*store)->Append({SomeRecord("a")}), absl::OkStatus());
  // Committed, and not known to be; then never heard of.
  for (const bool heard : {true, false}) {
    line.CutAt("COMMIT", heard);
    EXPECT_EQ((*store)->Append({SomeRecord(heard ? "b" : "c")}), absl::OkStatus());
    EXPECT_TRUE(line.was_cut());
  }
  line.CutAt("INSERT INTO device_epoch", /*heard=*/true);
  EXPECT_EQ(WriteOne(**store, EpochEntry{"board", 1}), absl::OkStatus());
  EXPECT_TRUE(line.was_cut());
  EXPECT_EQ((*store)->Query({})->size(), 3);
  EXPECT_EQ((*store)->LoadEpochs()->at("board"), 1);
}

TEST_F(PostgresRecordStoreTest, KeepsWhatItAcknowledgedWhenTheServerCrashes) {
  auto store = OpenAsLeader();
  ASSERT_EQ(store->Append({SomeRecord("a")}), absl::OkStatus());
  cluster_->Crash();
  EXPECT_EQ(store->Append({SomeRecord("b")}).code(), absl::StatusCode::kUnavailable);
  cluster_->Restart();
  EXPECT_EQ(store->Query({})->size(), 1);
  EXPECT_EQ(store->Append({SomeRecord("c")}), absl::OkStatus());
}

TEST_F(PostgresRecordStoreTest, RefusesATextThatPostgresCannotKeepAndNoOtherOfItsGroup) {
  auto store = OpenAsLeader();
  const auto batch = std::make_shared<const pb::Batch>();
  const auto outcomes = store->Write(
      {BatchEntry{.client_id = "c", .batch_id = std::string("a\0b", 3), .batch = batch},
       BatchEntry{.client_id = "c", .batch_id = "b\xff", .batch = batch},
       BatchEntry{.client_id = "c", .batch_id = "fine", .batch = batch}});
  EXPECT_EQ(outcomes[0].status.code(), absl::StatusCode::kInvalidArgument) << outcomes[0].status;
  EXPECT_EQ(outcomes[1].status.code(), absl::StatusCode::kInvalidArgument) << outcomes[1].status;
  EXPECT_EQ(outcomes[2].status, absl::OkStatus());
  EXPECT_EQ(store->LoadBatches()->size(), 1);
}

// --- Who leads

TEST_F(PostgresRecordStoreTest, OneLeadsAndOthersKnowWho) {
  auto a = Lead("a:1");
  auto b = Lead("b:1");
  ASSERT_EQ(a->Poll(), absl::OkStatus());
  ASSERT_EQ(b->Poll(), absl::OkStatus());
  EXPECT_EQ(a->term(), 1);
  EXPECT_EQ(b->term(), 0);
  EXPECT_EQ(b->leader(), "a:1");
  a.reset();
  ASSERT_EQ(b->Poll(), absl::OkStatus());
  EXPECT_EQ(b->term(), 2);
}

TEST_F(PostgresRecordStoreTest, ALeaderThatIsDeposedCommitsNothing) {
  auto old_store = OpenAsLeader();
  ASSERT_EQ(WriteOne(*old_store, EpochEntry{"board", 4}), absl::OkStatus());
  // The session that holds its lock is ended, and it does not notice.
  Run("SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory'");
  auto b = Lead("b:1");
  while (b->term() == 0) ASSERT_EQ(b->Poll(), absl::OkStatus());
  EXPECT_EQ(WriteOne(*old_store, EpochEntry{"board", 5}).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(old_store->Append({SomeRecord("a")}).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(old_store->Probe().code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(leadership_->StillLeads());
  auto store = *Open(b->term());
  EXPECT_EQ(store->LoadEpochs()->at("board"), 4);
  EXPECT_EQ(WriteOne(*store, EpochEntry{"board", 5}), absl::OkStatus());
  EXPECT_EQ(store->Query({})->size(), 0);
}

TEST_F(PostgresRecordStoreTest, ALeaderThatSaysNothingLosesTheLead) {
  auto a = Lead("a:1", milliseconds(200));
  auto b = Lead("b:1");
  ASSERT_EQ(a->Poll(), absl::OkStatus());
  const auto began = std::chrono::steady_clock::now();
  while (b->term() == 0) ASSERT_EQ(b->Poll(), absl::OkStatus());
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(5));
  EXPECT_FALSE(a->StillLeads());
  ASSERT_EQ(a->Poll(), absl::OkStatus());  // connects anew, and follows
  EXPECT_EQ(a->leader(), "b:1");
}

// Whoever is stopped in mid-transaction holds a lock that the next leader needs.
TEST_F(PostgresRecordStoreTest, ATransactionThatStandsStillEndsByItself) {
  OpenAsLeader();
  const auto session = PostgresSession::Connect({.url = url_, .idle_max = milliseconds(200)});
  ASSERT_TRUE(session.ok());
  ASSERT_TRUE((*session)->Run("BEGIN; UPDATE farm_leader SET writes = writes + 1").ok());
  leadership_.reset();
  auto b = Lead("b:1");
  ASSERT_EQ(b->Poll(), absl::OkStatus());
  EXPECT_EQ(b->term(), 2);
  EXPECT_FALSE((*session)->Run("COMMIT").ok());
}

}  // namespace
}  // namespace hone

#include "db/sqlite_record_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "tests/support/some_record.h"

namespace hone {
namespace {

using ::testing::HasSubstr;
using Mode = SqliteOpenOptions::Mode;

class SqliteRecordStoreTest : public ::testing::Test {
 protected:
  SqliteRecordStoreTest() {
    std::random_device random;
    directory_ = std::filesystem::temp_directory_path() / absl::StrCat("hone-sqlite-", random());
    std::filesystem::create_directory(directory_);
    path_ = directory_ / "records.db";
  }
  ~SqliteRecordStoreTest() override { std::filesystem::remove_all(directory_); }

  StatusOr<std::unique_ptr<SqliteRecordStore>> Open(Mode mode) {
    return SqliteRecordStore::Open({.path = path_, .mode = mode, .holder = "the test"});
  }
  Status OpenError(Mode mode) { return Open(mode).status(); }
  void Write(const std::string& bytes) {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes;
  }
  std::string Read() {
    std::stringstream text;
    text << std::ifstream(path_, std::ios::binary).rdbuf();
    return text.str();
  }
  // Runs SQL behind the store's back.
  void RunSql(const std::string& sql) {
    sqlite3* handle = nullptr;
    ASSERT_EQ(sqlite3_open(path_.c_str(), &handle), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(handle, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(handle);
    sqlite3_close(handle);
  }

  std::filesystem::path directory_;
  std::filesystem::path path_;
};

TEST_F(SqliteRecordStoreTest, KeepsRecordsFromOneOpeningToTheNext) {
  ASSERT_TRUE((*Open(Mode::kWrite))->Append({SomeRecord("a")}).ok());
  auto store = Open(Mode::kWrite);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ((*store)->Query({})->size(), 1);
}

TEST_F(SqliteRecordStoreTest, ReadersSeeWhatTheWriterCommits) {
  auto writer = *Open(Mode::kWrite);
  auto reader = Open(Mode::kRead);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->Query({})->size(), 0);
  ASSERT_TRUE(writer->Append({SomeRecord("a")}).ok());
  EXPECT_EQ((*reader)->Query({})->size(), 1);
}

TEST_F(SqliteRecordStoreTest, AReaderCannotWrite) {
  Open(Mode::kWrite).IgnoreError();
  auto reader = *Open(Mode::kRead);
  EXPECT_EQ(reader->Append({SomeRecord("a")}).code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(SqliteRecordStoreTest, RefusesASecondWriterAndNamesTheFirst) {
  auto first = *Open(Mode::kWrite);
  const Status second = OpenError(Mode::kWrite);
  EXPECT_EQ(second.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.message()), HasSubstr("in use by the test"));
  first.reset();
  EXPECT_TRUE(OpenError(Mode::kWrite).ok());
}

TEST_F(SqliteRecordStoreTest, TheLockOfAKilledWriterIsFree) {
  const pid_t child = fork();
  if (child == 0) {
    auto store = Open(Mode::kWrite);
    _exit(store.ok() && (*store)->Append({SomeRecord("a")}).ok() ? 0 : 1);  // destroys nothing
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_EQ(status, 0);
  auto store = Open(Mode::kWrite);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ((*store)->Query({})->size(), 1);
}

TEST_F(SqliteRecordStoreTest, SaysThatThereIsNoFileToRead) {
  const Status status = OpenError(Mode::kRead);
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr(path_.string()));
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(SqliteRecordStoreTest, SaysThatThereIsNoDirectory) {
  path_ = directory_ / "missing" / "records.db";
  EXPECT_EQ(OpenError(Mode::kWrite).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(OpenError(Mode::kRead).code(), absl::StatusCode::kNotFound);
}

TEST_F(SqliteRecordStoreTest, SaysThatADirectoryIsNotWritable) {
  path_ = "/proc/records.db";
  const Status status = OpenError(Mode::kWrite);
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied) << status;
}

TEST_F(SqliteRecordStoreTest, ReadsADatabaseInADirectoryItMayNotWriteTo) {
  ASSERT_TRUE((*Open(Mode::kWrite))->Append({SomeRecord("a")}).ok());
  std::filesystem::permissions(directory_, std::filesystem::perms(0555));
  const pid_t child = fork();
  if (child == 0) {
    // Root may write anywhere, so the reader is nobody.
    if (geteuid() == 0 && setuid(65534) != 0) _exit(2);
    auto reader = Open(Mode::kRead);
    if (!reader.ok()) fprintf(stderr, "%s\n", reader.status().ToString().c_str());
    _exit(reader.ok() && (*reader)->Query({})->size() == 1 ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  std::filesystem::permissions(directory_, std::filesystem::perms(0755));
  EXPECT_EQ(status, 0);
}

TEST_F(SqliteRecordStoreTest, LeavesAFileThatIsNoDatabaseAsItIs) {
  const std::string text = "my thesis, the only copy\n";
  Write(text);
  for (const Mode mode : {Mode::kRead, Mode::kWrite}) {
    const Status status = OpenError(mode);
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("not a hone database"));
  }
  EXPECT_EQ(Read(), text);
}

TEST_F(SqliteRecordStoreTest, LeavesTheDatabaseOfAnotherProgramAsItIs) {
  RunSql("CREATE TABLE bookmarks (url TEXT)");
  const std::string before = Read();
  for (const Mode mode : {Mode::kRead, Mode::kWrite}) {
    EXPECT_THAT(std::string(OpenError(mode).message()), HasSubstr("another program"));
  }
  EXPECT_EQ(Read(), before);
}

TEST_F(SqliteRecordStoreTest, DetectsDamageWhenOpenedForWriting) {
  {
    auto store = *Open(Mode::kWrite);
    std::vector<pb::Record> records;
    for (int i = 0; i < 300; ++i) records.push_back(SomeRecord(absl::StrCat("schedule ", i)));
    ASSERT_TRUE(store->Append(records).ok());
  }
  std::string bytes = Read();
  for (size_t i = bytes.size() / 2; i < bytes.size() / 2 + 6000; ++i) bytes[i] = '\x5a';
  Write(bytes);
  const Status status = OpenError(Mode::kWrite);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_EQ(Read(), bytes);
}

TEST_F(SqliteRecordStoreTest, DetectsATruncatedFile) {
  ASSERT_TRUE((*Open(Mode::kWrite))->Append({SomeRecord("a")}).ok());
  Write(Read().substr(0, 5000));
  EXPECT_EQ(OpenError(Mode::kWrite).code(), absl::StatusCode::kDataLoss);
}

TEST_F(SqliteRecordStoreTest, RefusesANewerSchema) {
  Open(Mode::kWrite).IgnoreError();
  RunSql("PRAGMA user_version = 999");
  for (const Mode mode : {Mode::kRead, Mode::kWrite}) {
    const Status status = OpenError(mode);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("newer hone"));
  }
}

TEST_F(SqliteRecordStoreTest, AFullDatabaseSaysSoAndKeepsWhatItHas) {
  auto store =
      *SqliteRecordStore::Open({.path = path_, .mode = Mode::kWrite, .max_bytes = 200 << 10});
  Status status;
  int committed = 0;
  for (; committed < 1000 && status.ok(); ++committed) {
    status = store->Append({SomeRecord(std::string(2000, 'a' + committed % 26))});
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("free some space"));
  EXPECT_EQ(store->Query({})->size(), committed - 1);
  store.reset();
  EXPECT_EQ((*Open(Mode::kRead))->Query({})->size(), committed - 1);
}

}  // namespace
}  // namespace hone

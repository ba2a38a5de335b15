// What every SecurityStore must answer, whatever it keeps its tokens and its trail in.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "db/memory_record_store.h"
#include "db/postgres_leadership.h"
#include "db/postgres_record_store.h"
#include "db/sqlite_record_store.h"
#include "tests/support/postgres_cluster.h"

namespace hone {
namespace {

using ::testing::HasSubstr;

struct Implementation {
  std::string name;
  bool lasts = false;
  std::function<std::shared_ptr<SecurityStore>(const std::filesystem::path& folder)> open;
};

std::shared_ptr<SecurityStore> OpenSqlite(const std::filesystem::path& folder) {
  auto store = SqliteRecordStore::Open(
      {.path = folder / "records.db", .mode = SqliteOpenOptions::Mode::kWrite});
  EXPECT_TRUE(store.ok()) << store.status();
  return std::shared_ptr<SqliteRecordStore>(*std::move(store));
}

// The lead under whose term a store writes, and the store.
struct LedStore {
  std::unique_ptr<PostgresLeadership> leadership;
  std::unique_ptr<PostgresRecordStore> store;
};

// Null where there is no PostgreSQL. The database is that which the folder names, a new one at
// first.
std::shared_ptr<SecurityStore> OpenPostgres(const std::filesystem::path& folder) {
  const auto cluster = PostgresCluster::OfThisProgram();
  if (!cluster.ok()) return nullptr;
  std::string url;
  if (!std::getline(std::ifstream(folder / "url"), url)) {
    url = (*cluster)->NewDatabase();
    std::ofstream(folder / "url") << url;
  }
  auto led = std::make_shared<LedStore>();
  led->leadership = *PostgresLeadership::Open({.url = url, .address = "here:1"});
  EXPECT_EQ(led->leadership->Poll(), absl::OkStatus());
  auto store = PostgresRecordStore::Open({.url = url, .term = led->leadership->term()});
  EXPECT_TRUE(store.ok()) << store.status();
  led->store = *std::move(store);
  return std::shared_ptr<SecurityStore>(led, led->store.get());
}

class SecurityStoreTest : public ::testing::TestWithParam<Implementation> {
 protected:
  SecurityStoreTest() {
    std::random_device random;
    folder_ = std::filesystem::temp_directory_path() / absl::StrCat("hone-store-", random());
    std::filesystem::create_directory(folder_);
    store_ = GetParam().open(folder_);
  }
  void SetUp() override {
    if (store_ == nullptr) GTEST_SKIP() << PostgresCluster::OfThisProgram().status().message();
  }
  ~SecurityStoreTest() override {
    store_.reset();
    std::filesystem::remove_all(folder_);
  }
  void Reopen() {
    if (!GetParam().lasts) return;
    store_.reset();
    store_ = GetParam().open(folder_);
  }
  SecurityStore& store() { return *store_; }

  static pb::JoinToken Token(const std::string& digest, int64_t expires_unix_ms = 1'000) {
    pb::JoinToken token;
    token.set_digest(digest);
    token.set_identity("agent/pi-3");
    token.set_made_by("admin/ada");
    token.set_expires_unix_ms(expires_unix_ms);
    return token;
  }
  static pb::AuditEntry Entry(int64_t number) {
    pb::AuditEntry entry;
    entry.set_number(number);
    entry.set_identity("tuner/bob");
    entry.set_method("Farm/Submit");
    entry.set_hash(absl::StrCat("hash ", number));
    return entry;
  }
  std::vector<int64_t> Numbers(int64_t after, int64_t limit) {
    const auto entries = store().ReadAudit(after, limit);
    EXPECT_TRUE(entries.ok()) << entries.status();
    std::vector<int64_t> numbers;
    for (const pb::AuditEntry& entry : *entries) numbers.push_back(entry.number());
    return numbers;
  }

 private:
  std::filesystem::path folder_;
  std::shared_ptr<SecurityStore> store_;
};

TEST_P(SecurityStoreTest, GivesATokenOnce) {
  ASSERT_EQ(store().AddJoinToken(Token("a")), absl::OkStatus());
  EXPECT_EQ(*store().CountJoinTokens(0), 1);
  Reopen();
  const auto taken = store().TakeJoinToken("a", 999);
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_EQ(taken->SerializeAsString(), Token("a").SerializeAsString());
  EXPECT_EQ(*store().CountJoinTokens(0), 0);
  Reopen();
  const Status again = store().TakeJoinToken("a", 999).status();
  EXPECT_EQ(again.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(again.message()), HasSubstr("used before"));
}

TEST_P(SecurityStoreTest, GivesNoTokenThatHasExpiredOrNeverWas) {
  ASSERT_EQ(store().AddJoinToken(Token("a")), absl::OkStatus());
  EXPECT_EQ(*store().CountJoinTokens(1'000), 0);
  EXPECT_THAT(std::string(store().TakeJoinToken("a", 1'000).status().message()),
              HasSubstr("expired"));
  EXPECT_EQ(store().TakeJoinToken("b", 0).status().code(), absl::StatusCode::kPermissionDenied);
}

TEST_P(SecurityStoreTest, KeepsOneTokenADigest) {
  ASSERT_EQ(store().AddJoinToken(Token("a")), absl::OkStatus());
  EXPECT_EQ(store().AddJoinToken(Token("a", 9'000)).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(*store().CountJoinTokens(5'000), 0);
}

TEST_P(SecurityStoreTest, KeepsTheTrailInOrder) {
  EXPECT_EQ(*store().LastAudit(), std::nullopt);
  const std::vector<pb::AuditEntry> first = {Entry(1), Entry(2), Entry(3)};
  ASSERT_EQ(store().AppendAudit(first), absl::OkStatus());
  const std::vector<pb::AuditEntry> second = {Entry(4)};
  ASSERT_EQ(store().AppendAudit(second), absl::OkStatus());
  Reopen();
  EXPECT_THAT(Numbers(0, 10), ::testing::ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(Numbers(1, 2), ::testing::ElementsAre(2, 3));
  EXPECT_THAT(Numbers(4, 2), ::testing::IsEmpty());
  const auto last = store().LastAudit();
  ASSERT_TRUE(last.ok() && last->has_value());
  EXPECT_EQ((*last)->SerializeAsString(), Entry(4).SerializeAsString());
}

TEST_P(SecurityStoreTest, TakesNothingIntoTheTrailThatDoesNotFollow) {
  const std::vector<pb::AuditEntry> gap = {Entry(1), Entry(3)};
  EXPECT_EQ(store().AppendAudit(gap).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Numbers(0, 10), ::testing::IsEmpty());
  const std::vector<pb::AuditEntry> one = {Entry(1)};
  ASSERT_EQ(store().AppendAudit(one), absl::OkStatus());
  EXPECT_EQ(store().AppendAudit(one).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(store().AppendAudit({}), absl::OkStatus());
}

INSTANTIATE_TEST_SUITE_P(
    Stores, SecurityStoreTest,
    ::testing::Values(Implementation{"Memory", false,
                                     [](const std::filesystem::path&) {
                                       return std::make_shared<MemoryRecordStore>();
                                     }},
                      Implementation{"Sqlite", true, OpenSqlite},
                      Implementation{"Postgres", true, OpenPostgres}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace hone

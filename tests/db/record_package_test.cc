// Signed packages of records, and the attacks that they are for.
#include "db/record_package.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "db/sqlite_record_store.h"
#include "tests/support/scratch_folder.h"
#include "tests/support/signing_keys.h"

namespace hone {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kNow = 1'795'200'000'000;
constexpr int64_t kDay = 86'400'000;

pb::Record RecordOf(const std::string& schedule) {
  pb::Record record;
  record.set_workload("workload/1 w");
  record.set_workload_key("key-w");
  record.set_target("target/1 t");
  record.set_numerics("fp32");
  record.set_schedule(schedule);
  record.mutable_measurement()->set_cost_ns(100);
  return record;
}

class RecordPackageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto store = SqliteRecordStore::Open(
        {.path = scratch_ / "records.db", .mode = SqliteOpenOptions::Mode::kWrite});
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  std::string Sealed(int64_t version, const std::string& schedule = "schedule/1 s") {
    const auto bytes = SealRecords({RecordOf(schedule)},
                                   {.name = "team",
                                    .version = version,
                                    .made_unix_ms = kNow,
                                    .expires_unix_ms = kNow + 30 * kDay},
                                   key_.private_pem);
    EXPECT_TRUE(bytes.ok()) << bytes.status();
    return *bytes;
  }
  StatusOr<OpenedPackage> Open(const std::string& bytes, int64_t unix_ms = kNow + kDay) {
    return OpenPackage(bytes, key_.public_pem, unix_ms, *store_);
  }
  // As `hone records import` does.
  Status TakeIn(const std::string& bytes) {
    HONE_ASSIGN_OR_RETURN(const OpenedPackage package, Open(bytes));
    HONE_RETURN_IF_ERROR(
        store_->SavePackage(package.public_key, package.manifest.name(), package.taken));
    return store_->Append(package.records);
  }

  const SigningKey key_ = SigningKey::Make();
  ScratchFolder scratch_;
  std::unique_ptr<SqliteRecordStore> store_;
};

TEST_F(RecordPackageTest, BringsItsRecordsOnceHoweverOftenItIsTakenIn) {
  const std::string bytes = Sealed(3);
  EXPECT_EQ(TakeIn(bytes), absl::OkStatus());
  EXPECT_EQ(TakeIn(bytes), absl::OkStatus());
  const auto records = store_->Query({});
  ASSERT_TRUE(records.ok()) << records.status();
  ASSERT_EQ(records->size(), 1u);
  EXPECT_EQ(records->front().schedule(), "schedule/1 s");
  EXPECT_EQ(TakeIn(Sealed(4, "schedule/1 better")), absl::OkStatus());
  EXPECT_EQ(store_->Query({})->size(), 2u);
}

TEST_F(RecordPackageTest, RefusesAnotherKeysSignature) {
  const auto forged = SealRecords(
      {RecordOf("schedule/1 slow")},
      {.name = "team", .version = 9, .made_unix_ms = kNow, .expires_unix_ms = kNow + kDay * 30},
      SigningKey::Make().private_pem);
  const Status status = Open(*forged).status();
  EXPECT_TRUE(absl::IsPermissionDenied(status)) << status;
}

TEST_F(RecordPackageTest, RefusesARollbackToAnOlderVersion) {
  ASSERT_EQ(TakeIn(Sealed(4)), absl::OkStatus());
  const Status status = Open(Sealed(3)).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("version 4 was taken in before"));
  // Nor another one of the same version; and not after the database was opened anew either.
  EXPECT_TRUE(absl::IsFailedPrecondition(Open(Sealed(4, "schedule/1 other")).status()));
  store_.reset();
  SetUp();
  EXPECT_TRUE(absl::IsFailedPrecondition(Open(Sealed(3)).status()));
}

TEST_F(RecordPackageTest, RefusesAFreezeAtWhatHasExpired) {
  const std::string bytes = Sealed(4);
  EXPECT_TRUE(Open(bytes, kNow + 30 * kDay - 1).ok());
  const Status status = Open(bytes, kNow + 30 * kDay).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("expired on"));
}

TEST_F(RecordPackageTest, RefusesAMixOfTwoPackages) {
  pb::RecordPackage mixed;
  pb::RecordPackage other;
  ASSERT_TRUE(mixed.ParseFromString(Sealed(4)));
  ASSERT_TRUE(other.ParseFromString(Sealed(3, "schedule/1 with a flaw")));
  mixed.set_records(other.records());
  Status status = Open(mixed.SerializeAsString()).status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  // A manifest under another one's signature is none either.
  ASSERT_TRUE(mixed.ParseFromString(Sealed(4)));
  mixed.set_manifest(other.manifest());
  status = Open(mixed.SerializeAsString()).status();
  EXPECT_TRUE(absl::IsPermissionDenied(status)) << status;
}

TEST_F(RecordPackageTest, RefusesWhateverBitIsTurned) {
  const std::string bytes = Sealed(4);
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string turned = bytes;
    turned[i] = static_cast<char>(turned[i] ^ 4);
    EXPECT_FALSE(Open(turned).ok()) << i;
  }
  EXPECT_FALSE(Open("").ok());
  EXPECT_FALSE(Open("no package").ok());
}

}  // namespace
}  // namespace hone

#include "base/blob_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/digest.h"

namespace hone {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Everything holds for a store on disk and for one in memory.
class BlobStoreTest : public ::testing::TestWithParam<bool> {
 protected:
  BlobStoreTest() {
    std::random_device random;
    folder_ = std::filesystem::temp_directory_path() / absl::StrCat("hone-blobs-", random());
  }
  ~BlobStoreTest() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<BlobStore> Open(int64_t bytes_max = 1 << 20, int64_t blob_bytes_max = 1 << 20) {
    auto store = BlobStore::Open({.folder = GetParam() ? folder_ : "",
                                  .bytes_max = bytes_max,
                                  .blob_bytes_max = blob_bytes_max});
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
  std::string FileOf(const std::string& digest) const {
    return absl::StrCat(folder_, "/", digest.substr(0, 2), "/", digest.substr(2));
  }

  std::string folder_;
};

INSTANTIATE_TEST_SUITE_P(All, BlobStoreTest, ::testing::Bool(),
                         [](const auto& on_disk) { return on_disk.param ? "OnDisk" : "InMemory"; });

TEST_P(BlobStoreTest, GivesBackWhatItWasGivenUnderItsDigest) {
  const auto store = Open();
  const auto digest = store->Put("code");
  ASSERT_TRUE(digest.ok()) << digest.status();
  EXPECT_EQ(*digest, Digest("code"));
  EXPECT_EQ(**store->Get(*digest), "code");
  EXPECT_THAT(store->Missing({*digest, Digest("other")}), ElementsAre(Digest("other")));
  EXPECT_EQ(store->Get(Digest("other")).status().code(), absl::StatusCode::kNotFound);
}

TEST_P(BlobStoreTest, KeepsOneCopyOfTheSameBytes) {
  const auto store = Open();
  ASSERT_TRUE(store->Put("code").ok());
  ASSERT_TRUE(store->Put("code").ok());
  EXPECT_EQ(store->bytes(), 4);
}

TEST_P(BlobStoreTest, DropsWhatWasNotUsedForLongest) {
  const auto store = Open(/*bytes_max=*/30);
  const std::string a = *store->Put(std::string(10, 'a'));
  const std::string b = *store->Put(std::string(10, 'b'));
  const std::string c = *store->Put(std::string(10, 'c'));
  ASSERT_TRUE(store->Get(a).ok());
  const std::string d = *store->Put(std::string(10, 'd'));
  EXPECT_THAT(store->Missing({a, b, c, d}), ElementsAre(b));
  EXPECT_EQ(store->bytes(), 30);
}

TEST_P(BlobStoreTest, NeverDropsWhatIsHeld) {
  const auto store = Open(/*bytes_max=*/30);
  const std::string a = *store->Put(std::string(10, 'a'));
  const std::string b = *store->Put(std::string(10, 'b'));
  BlobStore::Pin pin = store->Hold({a, b, a});
  const std::string c = *store->Put(std::string(10, 'c'));
  const std::string d = *store->Put(std::string(10, 'd'));
  EXPECT_THAT(store->Missing({a, b, c, d}), ElementsAre(c));
  const auto refused = store->Put(std::string(20, 'e'));
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(store->Missing({a, b, d}), IsEmpty()) << "something was dropped in vain";
  pin.reset();
  EXPECT_TRUE(store->Put(std::string(20, 'e')).ok());
}

TEST_P(BlobStoreTest, AHoldOutlivesTheStore) {
  auto store = Open();
  const BlobStore::Pin pin = store->Hold({*store->Put("code")});
  store.reset();
}

TEST_P(BlobStoreTest, RefusesABlobThatIsTooLarge) {
  const auto refused = Open(1 << 20, /*blob_bytes_max=*/9)->Put(std::string(10, 'a'));
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("10 bytes"));
}

TEST_P(BlobStoreTest, ServesManyThreads) {
  const auto store = Open(/*bytes_max=*/200);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const std::string bytes(20, static_cast<char>('a' + (i + t) % 16));
        const auto digest = store->Put(bytes);
        ASSERT_TRUE(digest.ok()) << digest.status();
        const auto got = store->Get(*digest);  // another thread may have made it go
        if (got.ok()) {
          EXPECT_EQ(**got, bytes);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(store->bytes(), 200);
}

class BlobFilesTest : public BlobStoreTest {};
INSTANTIATE_TEST_SUITE_P(OnDisk, BlobFilesTest, ::testing::Values(true));

TEST_P(BlobFilesTest, OutliveTheStoreInTheOrderOfTheirUse) {
  std::string a, b, c;
  {
    const auto store = Open();
    a = *store->Put(std::string(10, 'a'));
    b = *store->Put(std::string(10, 'b'));
    c = *store->Put(std::string(10, 'c'));
  }
  // Files of one instant have no order.
  const auto now = std::filesystem::last_write_time(FileOf(a));
  std::filesystem::last_write_time(FileOf(b), now - std::chrono::seconds(9));
  std::filesystem::last_write_time(FileOf(c), now - std::chrono::seconds(5));
  std::filesystem::last_write_time(FileOf(a), now - std::chrono::seconds(1));
  const auto store = Open(/*bytes_max=*/25);
  EXPECT_THAT(store->Missing({a, b, c}), ElementsAre(b));
  EXPECT_EQ(**store->Get(a), std::string(10, 'a'));
}

TEST_P(BlobFilesTest, AreDroppedWhenDamaged) {
  const auto store = Open();
  const std::string digest = *store->Put("code");
  std::ofstream(FileOf(digest)) << "c0de";
  const auto got = store->Get(digest);
  EXPECT_EQ(got.status().code(), absl::StatusCode::kNotFound) << got.status();
  EXPECT_FALSE(std::filesystem::exists(FileOf(digest)));
  EXPECT_THAT(store->Missing({digest}), ElementsAre(digest));
  ASSERT_TRUE(store->Put("code").ok());
  EXPECT_EQ(**store->Get(digest), "code");
}

TEST_P(BlobFilesTest, HalfWrittenGoWhenTheStoreIsOpened) {
  {
    ASSERT_TRUE(Open()->Put("code").ok());
  }
  const std::string half = FileOf(Digest("code")) + ".4711.tmp";
  std::ofstream(half) << "co";
  EXPECT_EQ(Open()->bytes(), 4);
  EXPECT_FALSE(std::filesystem::exists(half));
}

TEST_P(BlobFilesTest, NeedAFolder) {
  std::ofstream(folder_) << "a file";
  const auto store = BlobStore::Open({.folder = folder_});
  EXPECT_EQ(store.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(store.status().message()), HasSubstr(folder_));
}

TEST(IsDigestTest, TellsDigestsFromOtherTexts) {
  EXPECT_TRUE(IsDigest(Digest("")));
  EXPECT_FALSE(IsDigest(""));
  EXPECT_FALSE(IsDigest(std::string(63, 'a')));
  EXPECT_FALSE(IsDigest(std::string(64, 'A')));
  EXPECT_FALSE(IsDigest("../" + std::string(61, 'a')));
}

}  // namespace
}  // namespace hone

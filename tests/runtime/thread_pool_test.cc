#include "runtime/thread_pool.h"

#include <atomic>
#include <cstdint>
#include <vector>

#include "gtest/gtest.h"

namespace {

struct Counts {
  std::vector<int>* visits;
  std::atomic<int64_t>* workers_seen;  // bit set
  std::atomic<int>* calls;
};

void Count(const void* context, int64_t begin, int64_t end, int64_t worker) {
  const auto* counts = static_cast<const Counts*>(context);
  for (int64_t i = begin; i < end; ++i) ++(*counts->visits)[i];
  counts->workers_seen->fetch_or(int64_t{1} << worker);
  counts->calls->fetch_add(1);
}

class Pool {
 public:
  explicit Pool(int threads) : pool_(hone_pool_create(threads, &error_)) {}
  ~Pool() { hone_pool_destroy(pool_); }
  const hone_host* host() const { return hone_pool_host(pool_); }
  void ParallelFor(int64_t count, hone_parallel_body body, const void* context) const {
    host()->parallel_for(host(), count, body, context);
  }

 private:
  hone_error error_ = {};
  hone_pool* pool_;
};

TEST(ThreadPool, VisitsEveryIterationOnce) {
  for (int threads : {1, 2, 3, 5}) {
    const Pool pool(threads);
    ASSERT_EQ(pool.host()->thread_count, threads);
    for (int64_t count : {0, 1, 2, 3, 7, 16, 100, 1001}) {
      std::vector<int> visits(count, 0);
      std::atomic<int64_t> workers_seen = 0;
      std::atomic<int> calls = 0;
      const Counts counts = {&visits, &workers_seen, &calls};
      pool.ParallelFor(count, Count, &counts);
      for (int64_t i = 0; i < count; ++i) ASSERT_EQ(visits[i], 1) << threads << " " << count;
      EXPECT_LT(workers_seen.load(), int64_t{1} << threads);
    }
  }
}

TEST(ThreadPool, CallsTheBodyOnceWithOneThread) {
  const Pool pool(1);
  std::vector<int> visits(1000, 0);
  std::atomic<int64_t> workers_seen = 0;
  std::atomic<int> calls = 0;
  const Counts counts = {&visits, &workers_seen, &calls};
  pool.ParallelFor(1000, Count, &counts);
  EXPECT_EQ(calls.load(), 1);
}

TEST(ThreadPool, SeesTheWritesOfTheJobBefore) {
  const Pool pool(3);
  std::vector<int64_t> values(64, 0);
  const auto add_left = [](const void* context, int64_t begin, int64_t end, int64_t) {
    auto* v = *static_cast<int64_t* const*>(context);
    for (int64_t i = begin; i < end; ++i) v[32 + i] = v[i] + 1;
  };
  const auto copy_right = [](const void* context, int64_t begin, int64_t end, int64_t) {
    auto* v = *static_cast<int64_t* const*>(context);
    for (int64_t i = begin; i < end; ++i) v[i] = v[32 + (i + 7) % 32];
  };
  int64_t* data = values.data();
  for (int round = 0; round < 2000; ++round) {
    pool.ParallelFor(32, add_left, &data);
    pool.ParallelFor(32, copy_right, &data);
  }
  for (int i = 0; i < 32; ++i) EXPECT_EQ(values[i], 2000);
}

// Whichever of them gets to run, the others' rest is done too: two iterations that wait for each
// other can only finish on two workers.
TEST(ThreadPool, RunsWorkersAtTheSameTime) {
  const Pool pool(2);
  std::atomic<int> arrived = 0;
  std::atomic<int>* pointer = &arrived;
  const auto meet = [](const void* context, int64_t, int64_t, int64_t) {
    auto* count = *static_cast<std::atomic<int>* const*>(context);
    count->fetch_add(1);
    while (count->load() < 2) {
    }
  };
  pool.ParallelFor(2, meet, &pointer);
  EXPECT_EQ(arrived.load(), 2);
}

TEST(ThreadPool, RefusesSizesThatMakeNoSense) {
  hone_error error = {};
  EXPECT_EQ(hone_pool_create(0, &error), nullptr);
  EXPECT_EQ(error.code, HONE_ERROR_ARGUMENT);
  EXPECT_EQ(hone_pool_create(1 << 20, nullptr), nullptr);
}

}  // namespace

#include "device_agent/power_domain.h"

#include <gmock/gmock.h>

#include <string>

namespace hone {
namespace {

class PowerDomainTest : public testing::Test {
 protected:
  void Acquire(PowerDomain& domain, const char& member) {
    domain.Acquire(&member, [this, &member] { turns_.push_back(member); });
  }

  const char a_ = 'a', b_ = 'b', c_ = 'c';
  std::string turns_;
};

TEST_F(PowerDomainTest, LetsOneMeasureAtATimeInTheOrderTheyAsked) {
  PowerDomain domain(/*independent=*/false);
  Acquire(domain, a_);
  Acquire(domain, b_);
  Acquire(domain, c_);
  EXPECT_EQ(turns_, "a");
  domain.Release(&a_);
  EXPECT_EQ(turns_, "ab");
  Acquire(domain, a_);
  domain.Release(&b_);
  domain.Release(&c_);
  EXPECT_EQ(turns_, "abca");
}

TEST_F(PowerDomainTest, PassesOverWhoGaveUpWaiting) {
  PowerDomain domain(false);
  Acquire(domain, a_);
  Acquire(domain, b_);
  Acquire(domain, c_);
  domain.Release(&b_);
  EXPECT_EQ(turns_, "a");
  domain.Release(&a_);
  EXPECT_EQ(turns_, "ac");
}

TEST_F(PowerDomainTest, MakesNobodyWaitWhoseOwnerSaysThatTheyAreIndependent) {
  PowerDomain domain(/*independent=*/true);
  Acquire(domain, a_);
  Acquire(domain, b_);
  domain.Release(&b_);
  EXPECT_EQ(turns_, "ab");
}

}  // namespace
}  // namespace hone

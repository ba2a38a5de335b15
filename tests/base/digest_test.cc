#include "base/digest.h"

#include <gtest/gtest.h>

namespace hone {
namespace {

TEST(DigestTest, IsSha256InHex) {
  EXPECT_EQ(Digest("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace hone

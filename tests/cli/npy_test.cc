#include "cli/npy.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace hone {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string ErrorOf(const std::string& bytes) {
  return std::string(ParseNpy(bytes, "x.npy").status().message());
}

TEST(Npy, ReadsBackWhatItWrote) {
  for (const std::vector<int64_t>& shape :
       {std::vector<int64_t>{}, {5}, {2, 3}, {1, 3, 2, 2}, {0, 4}}) {
    for (const DType dtype : {DType::kBool, DType::kI8, DType::kU8, DType::kI64, DType::kF16,
                              DType::kF32, DType::kF64}) {
      Tensor tensor = Tensor::Zeros(dtype, shape);
      for (int64_t i = 0; i < tensor.ElementCount(); ++i) {
        tensor.Set(i, static_cast<double>(i % 2));
      }
      const std::string bytes = SerializeNpy(tensor);
      EXPECT_EQ((bytes.size() - tensor.bytes.size()) % 64, 0u);
      const StatusOr<Tensor> back = ParseNpy(bytes, "memory");
      ASSERT_TRUE(back.ok()) << back.status();
      EXPECT_EQ(back->dtype, dtype);
      EXPECT_EQ(back->shape, shape);
      EXPECT_EQ(back->bytes, tensor.bytes);
    }
  }
}

TEST(Npy, WritesTheHeaderThatNumpyReads) {
  const std::string bytes = SerializeNpy(Tensor::Floats({2}, {1, 2}));
  EXPECT_THAT(bytes, HasSubstr("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }"));
}

TEST(Npy, SaysWhatIsWrong) {
  const std::string good = SerializeNpy(Tensor::Floats({2, 3}, {1, 2, 3, 4, 5, 6}));
  EXPECT_THAT(ErrorOf("hello"), HasSubstr("x.npy: not an .npy file"));
  EXPECT_THAT(ErrorOf(good.substr(0, good.size() - 1)), HasSubstr("truncated"));
  EXPECT_THAT(ErrorOf(good.substr(0, 30)), HasSubstr("truncated"));
  const auto replaced = [&](const std::string& from, const std::string& to) {
    std::string bytes = good;
    bytes.replace(bytes.find(from), from.size(), to);
    return ErrorOf(bytes);
  };
  EXPECT_THAT(replaced("False", "True,"), HasSubstr("ascontiguousarray"));
  EXPECT_THAT(replaced("<f4", ">f4"), HasSubstr("'>f4' is not one hone reads"));
  EXPECT_THAT(replaced("(2, 3)", "(2; 3)"), HasSubstr("no readable shape"));
  EXPECT_THAT(replaced("<f4", "<\n4"), HasSubstr("the .npy header is no text"));
  // Of which the product is 0 in 64 bits.
  EXPECT_THAT(replaced("(2, 3)", "(1099511627776, 1099511627776)"), HasSubstr("no readable shape"));
}

}  // namespace
}  // namespace hone

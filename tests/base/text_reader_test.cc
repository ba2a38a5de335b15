#include "base/text_reader.h"

#include <gtest/gtest.h>

#include "base/text_writer.h"

namespace hone {
namespace {

TEST(TextReaderTest, ReadsWordsNumbersAndMarks) {
  TextReader reader("tile c.i.0 8 # eight\n x[n, -3] 0x1.8p+1\n", "test");
  EXPECT_EQ(*reader.Word("a step"), "tile");
  EXPECT_EQ(*reader.Word("a loop"), "c.i.0");
  EXPECT_FALSE(reader.NextIsFloat());
  EXPECT_EQ(*reader.Integer(), 8);
  EXPECT_TRUE(reader.EndLine().ok());
  EXPECT_EQ(*reader.Word("a buffer"), "x");
  EXPECT_TRUE(reader.TryMark("["));
  EXPECT_TRUE(reader.TryWord("n"));
  EXPECT_TRUE(reader.TryMark(","));
  EXPECT_EQ(*reader.Integer(), -3);
  EXPECT_TRUE(reader.TryMark("]"));
  EXPECT_TRUE(reader.NextIsFloat());
  EXPECT_EQ(*reader.Float(), 3.0);
  EXPECT_TRUE(reader.AtEnd());
}

TEST(TextReaderTest, ErrorsNameLineAndColumn) {
  TextReader reader("one\n  two !", "file.txt");
  EXPECT_TRUE(reader.Word("a word").ok());
  EXPECT_TRUE(reader.EndLine().ok());
  EXPECT_TRUE(reader.Word("a word").ok());
  EXPECT_EQ(reader.EndLine().message(), "file.txt:2:7: expected the end of the line");
}

TEST(TextReaderTest, ReadsBackEveryFloatItPrints) {
  for (double value : {0.0, -0.0, 1.0, -1.5, 1e-300, 3.4028234663852886e38}) {
    std::string text = HexFloat(value);
    EXPECT_EQ(*TextReader(text, "test").Float(), value) << text;
  }
  EXPECT_TRUE(TextReader("-inf", "test").NextIsFloat());
  EXPECT_LT(*TextReader("-inf", "test").Float(), 0);
}

}  // namespace
}  // namespace hone

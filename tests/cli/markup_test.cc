#include "cli/markup.h"

#include <gtest/gtest.h>

namespace hone {
namespace {

TEST(MarkupTest, LeavesNothingThatMarkupWouldRead) {
  EXPECT_EQ(EscapeMarkup("<b title=\"x\" id='y'>&amp;</b>"),
            "&lt;b title=&quot;x&quot; id=&#39;y&#39;&gt;&amp;amp;&lt;/b&gt;");
  EXPECT_EQ(EscapeMarkup("one\ttwo\nthree\x01\x7f"), "one\ttwo\nthree  ");
  EXPECT_EQ(EscapeMarkup("größer"), "größer");
}

}  // namespace
}  // namespace hone

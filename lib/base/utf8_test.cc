#include "lib/base/utf8.h"

#include <gtest/gtest.h>

namespace strata::base {
namespace {

// The verdicts are those of Go's unicode/utf8 (DecodeRune).
TEST(Utf8, ASequenceIsTheShortestOfACodePointThatIsNoSurrogate) {
  const std::pair<std::string_view, size_t> kCases[] = {{"", 0},
                                                        {std::string_view("\0", 1), 1},
                                                        {"\x7f", 1},
                                                        {"\x80", 0},
                                                        {"\xc1\xbf", 0},  // overlong
                                                        {"\xc2\x80", 2},
                                                        {"\xdf\xbf", 2},
                                                        {"\xdf\xc0", 0},
                                                        {"\xe0\x9f\xbf", 0},  // overlong
                                                        {"\xe0\xa0\x80", 3},
                                                        {"\xed\x9f\xbf", 3},
                                                        {"\xed\xa0\x80", 0},  // U+D800
                                                        {"\xee\x80\x80", 3},
                                                        {"\xef\xbf\xbf", 3},
                                                        {"\xf0\x8f\xbf\xbf", 0},  // overlong
                                                        {"\xf0\x90\x80\x80", 4},
                                                        {"\xf4\x8f\xbf\xbf", 4},
                                                        {"\xf4\x90\x80\x80", 0},  // beyond U+10FFFF
                                                        {"\xf5\x80\x80\x80", 0},
                                                        {"\xff", 0}};
  for (const auto& [text, length] : kCases) {
    EXPECT_EQ(Utf8Length(text), length) << testing::PrintToString(text);
    EXPECT_EQ(Utf8Length(std::string(text) + "\x80"), length) << testing::PrintToString(text);
    for (size_t cut = 1; cut < length; ++cut) EXPECT_EQ(Utf8Length(text.substr(0, cut)), 0u);
    if (length == 0) continue;
    std::string again;
    AppendUtf8(CodePoint(text), again);
    EXPECT_EQ(again, text);
  }
}

// Wherever a bad byte stands among the ASCII that is skipped eight bytes at a time.
TEST(Utf8, ABadByteIsFoundAtEveryPlace) {
  for (size_t size = 1; size < 40; ++size) {
    for (size_t at = 0; at < size; ++at) {
      std::string text(size, 'a');
      EXPECT_TRUE(IsUtf8(text));
      text[at] = '\xff';
      EXPECT_FALSE(IsUtf8(text)) << at << " of " << size;
      EXPECT_TRUE(IsUtf8(ToValidUtf8(text)));
    }
  }
}

TEST(Utf8, SequencesAcrossTheEightAreWhole) {
  for (const std::string_view sequence : {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"}) {
    for (size_t before = 0; before < 20; ++before) {
      const std::string text = std::string(before, 'a') + std::string(sequence);
      EXPECT_TRUE(IsUtf8(text + std::string(9, 'b')));
      EXPECT_FALSE(IsUtf8(text.substr(0, text.size() - 1)));
      EXPECT_FALSE(IsUtf8(text.substr(0, text.size() - 1) + std::string(9, 'b')));
    }
  }
}

TEST(Utf8, RefusesWhatGoRefuses) {
  for (const std::string_view bad :
       {"\x80", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf5"}) {
    EXPECT_FALSE(IsUtf8(bad));
  }
}

}  // namespace
}  // namespace strata::base

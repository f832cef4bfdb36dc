#include "lib/base/utf8.h"

#include <gtest/gtest.h>

namespace strata::base {
namespace {

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

#include "server/wire/gzip.h"

#include <gtest/gtest.h>
#include <libdeflate.h>

namespace strata::wire {
namespace {

TEST(Gzip, OnlyTheBareTokenCounts) {
  for (const char* yes : {"gzip", "deflate, gzip", " gzip ,br", "gzip,deflate"})
    EXPECT_TRUE(AcceptsGzip(yes)) << yes;
  for (const char* no : {"", "deflate, br", "deflate, gzip;q=1.0", "x-gzip", "GZIP", "*", ","}) {
    EXPECT_FALSE(AcceptsGzip(no)) << no;
  }
}

TEST(Gzip, WhatIsCompressedComesBackAndIsAlwaysTheSame) {
  std::string body;
  for (int i = 0; i < 10'000; ++i) body += "sha256:" + std::to_string(i * 2654435761u);
  const std::string compressed = Gzip(body);
  EXPECT_LT(compressed.size(), body.size() / 2);
  EXPECT_EQ(compressed, Gzip(body));
  std::string back(body.size(), '\0');
  libdeflate_decompressor* decompressor = libdeflate_alloc_decompressor();
  EXPECT_EQ(libdeflate_gzip_decompress(decompressor, compressed.data(), compressed.size(),
                                       back.data(), back.size(), nullptr),
            LIBDEFLATE_SUCCESS);
  libdeflate_free_decompressor(decompressor);
  EXPECT_EQ(back, body);
}

}  // namespace
}  // namespace strata::wire

// Tokens as they are kept in memory: by digests, which can't be used to log in.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace strata::auth {

using TokenDigest = std::array<uint8_t, 32>;

// SHA-256 of `key` and `token`. With a secret `key`, who reads the digest can't even try tokens.
TokenDigest DigestOf(std::string_view key, std::string_view token);

// 32 bytes that nobody knows.
std::string RandomKey();

}  // namespace strata::auth

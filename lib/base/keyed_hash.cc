#include "lib/base/keyed_hash.h"

#include <sodium/crypto_shorthash.h>

#include <array>
#include <cstring>

namespace strata::base {
namespace {

using Key = std::array<unsigned char, crypto_shorthash_KEYBYTES>;

Key RandomKey() {
  Key key;
  crypto_shorthash_keygen(key.data());
  return key;
}

}  // namespace

uint64_t KeyedHash(std::string_view bytes) {
  static const Key key = RandomKey();
  std::array<unsigned char, crypto_shorthash_BYTES> hash;
  crypto_shorthash(hash.data(), reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                   key.data());
  uint64_t number;
  static_assert(sizeof number == sizeof hash);
  std::memcpy(&number, hash.data(), sizeof number);
  return number;
}

}  // namespace strata::base

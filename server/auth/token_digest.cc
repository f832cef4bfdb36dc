#include "server/auth/token_digest.h"

// The functions of the algorithm itself: what OpenSSL 3 has instead takes longer to set up than the
// digest of a token.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <cstdlib>

namespace strata::auth {

TokenDigest DigestOf(std::string_view key, std::string_view token) {
  SHA256_CTX context;
  TokenDigest digest;
  SHA256_Init(&context);
  SHA256_Update(&context, key.data(), key.size());
  SHA256_Update(&context, token.data(), token.size());
  SHA256_Final(digest.data(), &context);
  return digest;
}

std::string RandomKey() {
  std::string key(32, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(key.data()), static_cast<int>(key.size())) != 1)
    std::abort();  // no randomness: no secret could be kept
  return key;
}

}  // namespace strata::auth

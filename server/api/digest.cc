#include "server/api/digest.h"

#include <openssl/evp.h>

#include <cstdlib>

namespace strata::api {

std::string Sha512Hex(std::string_view document) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_Digest(document.data(), document.size(), digest, &size, EVP_sha512(), nullptr) != 1)
    std::abort();  // out of memory
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string hex;
  hex.reserve(size_t{2} * size);
  for (unsigned i = 0; i < size; ++i) {
    hex += kDigits[digest[i] >> 4];
    hex += kDigits[digest[i] & 15];
  }
  return hex;
}

std::string Etag(std::string_view document) {
  return '"' + Sha512Hex(document) + '"';
}

}  // namespace strata::api

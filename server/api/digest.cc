#include "server/api/digest.h"

#include <openssl/evp.h>

#include <cstdlib>

namespace strata::api {

namespace {

std::string Digest(std::string_view text, const EVP_MD* algorithm) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), digest, &size, algorithm, nullptr) != 1)
    std::abort();  // out of memory
  return {reinterpret_cast<const char*>(digest), size};
}

}  // namespace

std::string Sha256(std::string_view text) {
  return Digest(text, EVP_sha256());
}

std::string Sha512Hex(std::string_view document) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string hex;
  for (const unsigned char byte : Digest(document, EVP_sha512())) {
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

std::string Etag(std::string_view document) {
  return '"' + Sha512Hex(document) + '"';
}

}  // namespace strata::api

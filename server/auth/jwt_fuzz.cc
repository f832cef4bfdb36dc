// Any bytes as a token, as a JWK set and as PEM: reading must return.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "server/auth/jwt.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static const auto keys = strata::auth::ReadJwks(
      R"({"keys":[{"kty":"EC","crv":"P-256","x":"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY",)"
      R"("y":"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"}]})");
  if (const auto jwt = strata::auth::ParseJwt(text); jwt.ok() && keys.ok())
    (void)strata::auth::HasValidSignature(*jwt, *keys);
  (void)strata::auth::ReadJwks(text);
  (void)strata::auth::ReadPemKeys(text);
  return 0;
}

// JSON Web Tokens: their form (RFC 7515, RFC 7519), and signatures by the algorithms that service
// account tokens have.
#pragma once

#include <openssl/types.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"
#include "lib/codec/json_tree.h"

namespace strata::auth {

struct VerifyKey {
  std::shared_ptr<EVP_PKEY> key;
  std::string id;  // as tokens name it in `kid`
};

// The public keys of a PEM text: public keys, certificates, and private keys, whose public half
// counts. The id of a key is what kube-apiserver makes of it (serviceaccount/jwt.go
// keyIDFromPublicKey).
base::StatusOr<std::vector<VerifyKey>> ReadPemKeys(std::string_view pem);

// The keys of a JWK set (RFC 7517) that are for signatures: RSA, and EC on P-256 and P-384. Others
// are left out.
base::StatusOr<std::vector<VerifyKey>> ReadJwks(std::string_view json);

// A token taken apart; nothing of it is believed before its signature is verified.
struct Jwt {
  std::string algorithm, key_id;
  std::string_view signed_part;  // into the token
  std::string signature;
  codec::JsonTree claims;
};

// An error says what is wrong with the form: three parts of base64url without padding, JSON objects
// without repeated members, an algorithm of RS256, RS384, RS512, ES256 or ES384, no `crit`.
base::StatusOr<Jwt> ParseJwt(std::string_view token);

// Whether one of `keys` made the signature. The token's algorithm never decides what a key is: an
// RSA key verifies RS* alone, one of P-256 ES256, one of P-384 ES384.
bool HasValidSignature(const Jwt& jwt, const std::vector<VerifyKey>& keys);

}  // namespace strata::auth

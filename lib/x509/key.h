// Public keys and signatures, with what Go's crypto/x509 takes of them. OpenSSL computes.
#pragma once

#include <openssl/evp.h>

#include <cstdint>
#include <memory>
#include <string_view>

#include "lib/base/status.h"

namespace strata::x509 {

enum class KeyAlgorithm : uint8_t { kUnknown, kRsa, kEcdsa, kEd25519, kDsa };

// kDsa and kUnknown can't be verified with; neither hash below SHA-256 is trusted.
enum class SignatureAlgorithm : uint8_t {
  kUnknown,
  kMd5Rsa,
  kSha1Rsa,
  kSha256Rsa,
  kSha384Rsa,
  kSha512Rsa,
  kSha256RsaPss,
  kSha384RsaPss,
  kSha512RsaPss,
  kDsa,
  kSha1Ecdsa,
  kSha256Ecdsa,
  kSha384Ecdsa,
  kSha512Ecdsa,
  kEd25519,
};

// Of the contents of an AlgorithmIdentifier (x509.go getSignatureAlgorithmFromAI). An error: not
// even that.
base::StatusOr<SignatureAlgorithm> ParseSignatureAlgorithm(std::string_view identifier);

struct PublicKey {
  KeyAlgorithm algorithm = KeyAlgorithm::kUnknown;
  int rsa_bits = 0;
  std::shared_ptr<EVP_PKEY> key;  // null: it can't be verified with

  // `der`: the whole SubjectPublicKeyInfo. A key of an unknown kind is none; one of a known kind
  // that Go doesn't read is an error.
  static base::StatusOr<PublicKey> Parse(std::string_view der);
};

// x509.go checkSignature. Threads may share `key`.
base::Status CheckSignature(SignatureAlgorithm algorithm, std::string_view text,
                            std::string_view signature, const PublicKey& key);

}  // namespace strata::x509

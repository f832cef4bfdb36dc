// A certificate chain and its private key, from PEM, as Go's tls.X509KeyPair takes them.
#pragma once

#include <openssl/evp.h>
#include <openssl/types.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"
#include "lib/x509/certificate.h"

namespace strata::x509 {

// A file that was read; its name is for errors.
struct NamedPem {
  std::string_view file, text;
};

struct KeyPair {
  CertificatePtr leaf;                       // as Go reads it
  std::vector<std::shared_ptr<X509>> chain;  // not empty, the leaf first
  std::shared_ptr<EVP_PKEY> key;

  // The first certificate has to be one that Go parses, and the key to be its own, without a
  // passphrase. An error names the file that is at fault, and the other too where they don't belong
  // together.
  static base::StatusOr<KeyPair> Parse(const NamedPem& certificates, const NamedPem& key);

  // From now on `context` shows it. An error says what OpenSSL has against it: its security level
  // may.
  base::Status ShowBy(SSL_CTX* context) const;
};

// All certificates of `pem` that OpenSSL can parse.
std::vector<std::shared_ptr<X509>> CertificatesOf(std::string_view pem);

}  // namespace strata::x509

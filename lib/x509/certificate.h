// An X.509 certificate as Go's crypto/x509 reads it (parser.go parseCertificate), and refuses it:
// OpenSSL's parser takes negative serials, doubled extensions, wrong strings and much else.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"
#include "lib/x509/key.h"
#include "lib/x509/name.h"

namespace strata::x509 {

// An IP address, four or sixteen bytes, and the mask of as many.
struct Network {
  std::string_view address, mask;
};

// What names a certificate is for, or its CA may (or mustn't) sign for.
struct SubjectNames {
  std::vector<std::string_view> dns, emails, ips, uris;
};
struct NameSubtrees {
  std::vector<std::string_view> dns, emails, uri_domains;
  std::vector<Network> networks;
};

// RFC 5280 §4.2.1.4 and §4.2.1.11; -1: not given. OIDs are encoded.
struct Policies {
  std::vector<std::string_view> policies;
  std::vector<std::array<std::string_view, 2>> mappings;  // issuer's, subject's
  int64_t require_explicit = -1, inhibit_mapping = -1, inhibit_any = -1;
};

// Immutable; the views are into `raw`.
struct Certificate {
  std::string raw;  // DER
  std::string signature;
  std::string_view tbs, raw_issuer, raw_subject, raw_key, serial;
  int version = 1;
  Name issuer, subject;
  int64_t not_before = 0, not_after = 0;  // in seconds since 1970; both are within
  SignatureAlgorithm signature_algorithm = SignatureAlgorithm::kUnknown;
  PublicKey key;

  bool has_basic_constraints = false, is_ca = false;
  int64_t max_path = -1;  // CAs below it; -1: any number
  bool may_sign = true;   // keyUsage has keyCertSign, or isn't there
  bool has_usages = false, any_usage = false, client_usage = false, server_usage = false;
  bool has_names = false, has_constraints = false;
  std::string_view raw_names;  // the extension's value
  SubjectNames names;
  NameSubtrees permitted, excluded;
  Policies policies;
  std::string_view subject_key_id, authority_key_id;
  std::string unhandled;  // a critical extension that isn't understood: its OID

  static base::StatusOr<std::shared_ptr<const Certificate>> Parse(std::string_view der);

  // For messages: "CN=alice,O=devs (serial 1f)".
  std::string Text() const;
};

using CertificatePtr = std::shared_ptr<const Certificate>;

// "2026-11-26T14:00:00Z"
std::string TimeText(int64_t seconds);

}  // namespace strata::x509

#include "lib/x509/key.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <optional>
#include <string>
#include <utility>

#include "lib/base/owned.h"
#include "lib/x509/der.h"

namespace strata::x509 {
namespace {

using std::string_view_literals::operator""sv;

constexpr auto kNull = "\x05\x00"sv;
constexpr auto kOidRsa = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"sv;
constexpr auto kOidDsa = "\x2a\x86\x48\xce\x38\x04\x01"sv;
constexpr auto kOidEc = "\x2a\x86\x48\xce\x3d\x02\x01"sv;
constexpr auto kOidEd25519 = "\x2b\x65\x70"sv;
constexpr auto kOidRsaPss = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"sv;
constexpr auto kOidMgf1 = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08"sv;
constexpr int kMinRsaBits = 1024;  // crypto/rsa rsa1024min
constexpr size_t kEd25519Bytes = 32;

// x509.go signatureAlgorithmDetails, but for RSA-PSS.
constexpr std::pair<std::string_view, SignatureAlgorithm> kSignatures[] = {
    {"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04"sv, SignatureAlgorithm::kMd5Rsa},
    {"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05"sv, SignatureAlgorithm::kSha1Rsa},
    {"\x2b\x0e\x03\x02\x1d"sv, SignatureAlgorithm::kSha1Rsa},
    {"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"sv, SignatureAlgorithm::kSha256Rsa},
    {"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c"sv, SignatureAlgorithm::kSha384Rsa},
    {"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d"sv, SignatureAlgorithm::kSha512Rsa},
    {"\x2a\x86\x48\xce\x38\x04\x03"sv, SignatureAlgorithm::kDsa},
    {"\x60\x86\x48\x01\x65\x03\x04\x03\x02"sv, SignatureAlgorithm::kDsa},
    {"\x2a\x86\x48\xce\x3d\x04\x01"sv, SignatureAlgorithm::kSha1Ecdsa},
    {"\x2a\x86\x48\xce\x3d\x04\x03\x02"sv, SignatureAlgorithm::kSha256Ecdsa},
    {"\x2a\x86\x48\xce\x3d\x04\x03\x03"sv, SignatureAlgorithm::kSha384Ecdsa},
    {"\x2a\x86\x48\xce\x3d\x04\x03\x04"sv, SignatureAlgorithm::kSha512Ecdsa},
};

struct Identifier {
  std::string_view oid;
  std::string_view parameters;  // the whole element; empty: none
};

std::optional<Identifier> ReadIdentifier(std::string_view contents) {
  Der der(contents);
  Identifier identifier;
  const auto oid = der.ReadOid();
  if (!oid) return std::nullopt;
  identifier.oid = *oid;
  if (der.empty()) return identifier;
  const auto parameters = der.ReadAny();
  if (!parameters) return std::nullopt;
  identifier.parameters = parameters->whole;
  return identifier;
}

bool NullOrNone(std::string_view parameters) {
  return parameters.empty() || parameters == kNull;
}

// An AlgorithmIdentifier, the whole of it, in front of `der`.
std::optional<Identifier> TakeIdentifier(Der der) {
  const auto contents = der.Read(tag::kSequence);
  return contents ? ReadIdentifier(*contents) : std::nullopt;
}

// One hash for message and mask, and a salt of its length; anything else is of no known algorithm.
SignatureAlgorithm PssAlgorithm(std::string_view parameters) {
  constexpr auto kUnknown = SignatureAlgorithm::kUnknown;
  const auto contents = Der(parameters).Read(tag::kSequence);
  if (!contents) return kUnknown;
  Der fields(*contents);
  const auto explicit_hash = fields.Read(tag::Constructed(0));
  const auto explicit_mask = explicit_hash ? fields.Read(tag::Constructed(1)) : std::nullopt;
  const auto explicit_salt = explicit_mask ? fields.Read(tag::Constructed(2)) : std::nullopt;
  if (!explicit_salt) return kUnknown;
  const auto hash = TakeIdentifier(Der(*explicit_hash));
  const auto mask = TakeIdentifier(Der(*explicit_mask));
  const auto salt = Der(*explicit_salt).ReadInt64();
  const auto mask_hash = mask ? TakeIdentifier(Der(mask->parameters)) : std::nullopt;
  if (!hash || !mask || !mask_hash || !salt) return kUnknown;
  if (fields.NextIs(tag::Constructed(3))) {
    const auto trailer = fields.Read(tag::Constructed(3));
    if (!trailer || Der(*trailer).ReadInt64() != 1) return kUnknown;
  }
  if (!NullOrNone(hash->parameters) || mask->oid != kOidMgf1 || mask_hash->oid != hash->oid ||
      !NullOrNone(mask_hash->parameters)) {
    return kUnknown;
  }
  if (hash->oid == "\x60\x86\x48\x01\x65\x03\x04\x02\x01"sv && *salt == 32)
    return SignatureAlgorithm::kSha256RsaPss;
  if (hash->oid == "\x60\x86\x48\x01\x65\x03\x04\x02\x02"sv && *salt == 48)
    return SignatureAlgorithm::kSha384RsaPss;
  if (hash->oid == "\x60\x86\x48\x01\x65\x03\x04\x02\x03"sv && *salt == 64)
    return SignatureAlgorithm::kSha512RsaPss;
  return kUnknown;
}

// Bytes of a coordinate of the curve; 0 of another.
size_t CoordinateBytes(std::string_view curve) {
  if (curve == "\x2b\x81\x04\x00\x21"sv) return 28;
  if (curve == "\x2a\x86\x48\xce\x3d\x03\x01\x07"sv) return 32;
  if (curve == "\x2b\x81\x04\x00\x22"sv) return 48;
  if (curve == "\x2b\x81\x04\x00\x23"sv) return 66;
  return 0;
}

bool IsPositive(std::optional<std::string_view> integer) {
  return integer && (*integer)[0] >= 0 && *integer != "\0"sv;
}

int BitLength(std::string_view positive) {
  while (!positive.empty() && positive[0] == '\0') positive.remove_prefix(1);
  int bits = static_cast<int>(positive.size()) * 8;
  for (unsigned top = static_cast<uint8_t>(positive[0]); top < 0x80; top <<= 1) --bits;
  return bits;
}

base::Status Unusable(std::string_view what) {
  return base::InvalidArgumentError(fmt::format("its public key can't be used: {}", what));
}

// Sets the size, and whether Go verifies with it: at least 1024 bits, both numbers odd, an exponent
// from 3 up and below 2^31 (crypto/internal/fips140/rsa checkPublicKey).
base::StatusOr<bool> CheckRsa(std::string_view parameters, std::string_view data, int& bits) {
  if (parameters != kNull) return Unusable("RSA without NULL parameters");
  const auto contents = Der(data).Read(tag::kSequence);
  if (!contents) return Unusable("not an RSA key");
  Der fields(*contents);
  const auto modulus = fields.ReadInteger();
  if (!IsPositive(modulus)) return Unusable("its RSA modulus isn't a positive number");
  const auto exponent = fields.ReadInt64();
  if (!exponent || *exponent <= 0)
    return Unusable("its RSA exponent isn't a positive number of 63 bits");
  bits = BitLength(*modulus);
  return bits >= kMinRsaBits && (modulus->back() & 1) != 0 && *exponent >= 2 &&
         (*exponent & 1) != 0 && *exponent < (int64_t{1} << 31);
}

base::Status CheckEc(std::string_view parameters, std::string_view data) {
  const auto curve = Der(parameters).ReadOid();
  if (!curve) return Unusable("its curve isn't a named one");
  const size_t size = CoordinateBytes(*curve);
  if (size == 0) return Unusable("its curve is none of P-224, P-256, P-384 and P-521");
  if (data.size() != 1 + 2 * size || data[0] != 4) return Unusable("not an uncompressed point");
  return base::OkStatus();
}

base::Status CheckDsa(std::string_view parameters, std::string_view data) {
  const auto contents = Der(parameters).Read(tag::kSequence);
  if (!IsPositive(Der(data).ReadInteger()) || !contents) return Unusable("not a DSA key");
  Der numbers(*contents);
  for (int i = 0; i < 3; ++i) {
    if (!IsPositive(numbers.ReadInteger())) return Unusable("not a DSA key");
  }
  return base::OkStatus();
}

// OpenSSL's form of a key that was found good. It is put together anew: what Go passes by, OpenSSL
// may not.
std::shared_ptr<EVP_PKEY> Decode(std::string_view algorithm, std::string_view data) {
  const std::string der =
      EncodeDer(tag::kSequence, EncodeDer(tag::kSequence, algorithm) +
                                    EncodeDer(tag::kBitString, '\0' + std::string(data)));
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  std::shared_ptr<EVP_PKEY> key(d2i_PUBKEY(nullptr, &at, static_cast<long>(der.size())),
                                EVP_PKEY_free);
  ERR_clear_error();
  return key;
}

const EVP_MD* HashOf(SignatureAlgorithm algorithm) {
  using enum SignatureAlgorithm;
  switch (algorithm) {
    case kSha256Rsa:
    case kSha256RsaPss:
    case kSha256Ecdsa:
      return EVP_sha256();
    case kSha384Rsa:
    case kSha384RsaPss:
    case kSha384Ecdsa:
      return EVP_sha384();
    case kSha512Rsa:
    case kSha512RsaPss:
    case kSha512Ecdsa:
      return EVP_sha512();
    default:
      return nullptr;
  }
}

KeyAlgorithm KeyOf(SignatureAlgorithm algorithm) {
  using enum SignatureAlgorithm;
  switch (algorithm) {
    case kUnknown:
    case kDsa:
      return KeyAlgorithm::kUnknown;
    case kSha1Ecdsa:
    case kSha256Ecdsa:
    case kSha384Ecdsa:
    case kSha512Ecdsa:
      return KeyAlgorithm::kEcdsa;
    case kEd25519:
      return KeyAlgorithm::kEd25519;
    default:
      return KeyAlgorithm::kRsa;
  }
}

bool IsPss(SignatureAlgorithm algorithm) {
  return algorithm == SignatureAlgorithm::kSha256RsaPss ||
         algorithm == SignatureAlgorithm::kSha384RsaPss ||
         algorithm == SignatureAlgorithm::kSha512RsaPss;
}

bool Verifies(SignatureAlgorithm algorithm, std::string_view text, std::string_view signature,
              EVP_PKEY* key) {
  const base::Owned<EVP_MD_CTX, EVP_MD_CTX_free> context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* parameters = nullptr;
  bool good =
      EVP_DigestVerifyInit(context.get(), &parameters, HashOf(algorithm), nullptr, key) == 1;
  if (good && IsPss(algorithm)) {
    good = EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) == 1;
  }
  good = good &&
         EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()),
                          signature.size(), reinterpret_cast<const unsigned char*>(text.data()),
                          text.size()) == 1;
  ERR_clear_error();
  return good;
}

}  // namespace

base::StatusOr<SignatureAlgorithm> ParseSignatureAlgorithm(std::string_view contents) {
  const auto identifier = ReadIdentifier(contents);
  if (!identifier) return base::InvalidArgumentError("malformed signature algorithm");
  if (identifier->oid == kOidRsaPss) return PssAlgorithm(identifier->parameters);
  if (identifier->oid == kOidEd25519) {
    return identifier->parameters.empty() ? SignatureAlgorithm::kEd25519
                                          : SignatureAlgorithm::kUnknown;
  }
  for (const auto& [oid, algorithm] : kSignatures) {
    if (identifier->oid == oid) return algorithm;
  }
  return SignatureAlgorithm::kUnknown;
}

base::StatusOr<PublicKey> PublicKey::Parse(std::string_view der) {
  const auto contents = Der(der).Read(tag::kSequence);
  if (!contents) return Unusable("malformed");
  Der fields(*contents);
  const auto algorithm = fields.Read(tag::kSequence);
  const auto identifier = algorithm ? ReadIdentifier(*algorithm) : std::nullopt;
  const auto bits = identifier ? fields.ReadBits() : std::nullopt;
  if (!bits) return Unusable("malformed");
  const std::string data = bits->RightAligned();

  PublicKey key;
  bool usable = true;
  if (identifier->oid == kOidRsa) {
    key.algorithm = KeyAlgorithm::kRsa;
    STRATA_ASSIGN_OR_RETURN(usable, CheckRsa(identifier->parameters, data, key.rsa_bits));
  } else if (identifier->oid == kOidEc) {
    key.algorithm = KeyAlgorithm::kEcdsa;
    STRATA_RETURN_IF_ERROR(CheckEc(identifier->parameters, data));
  } else if (identifier->oid == kOidEd25519) {
    key.algorithm = KeyAlgorithm::kEd25519;
    if (!identifier->parameters.empty() || data.size() != kEd25519Bytes)
      return Unusable("not an Ed25519 key");
  } else if (identifier->oid == kOidDsa) {
    key.algorithm = KeyAlgorithm::kDsa;
    STRATA_RETURN_IF_ERROR(CheckDsa(identifier->parameters, data));
    usable = false;
  } else {
    return key;
  }
  if (!usable) return key;
  key.key = Decode(*algorithm, data);
  if (key.key == nullptr && key.algorithm == KeyAlgorithm::kEcdsa)
    return Unusable("its point isn't on the curve");
  return key;
}

base::Status CheckSignature(SignatureAlgorithm algorithm, std::string_view text,
                            std::string_view signature, const PublicKey& key) {
  using enum SignatureAlgorithm;
  if (algorithm == kMd5Rsa || algorithm == kSha1Rsa || algorithm == kSha1Ecdsa)
    return base::PermissionDeniedError("it is signed with MD5 or SHA-1, which is insecure");
  if (KeyOf(algorithm) == KeyAlgorithm::kUnknown)
    return base::PermissionDeniedError("its signature algorithm isn't supported");
  if (KeyOf(algorithm) != key.algorithm)
    return base::PermissionDeniedError("its signature isn't of the kind of its issuer's key");
  if (key.key == nullptr) {
    return base::PermissionDeniedError(fmt::format(
        "its issuer's key can't be trusted: RSA of {} bits, or with an unusual exponent",
        key.rsa_bits));
  }
  if (!Verifies(algorithm, text, signature, key.key.get()))
    return base::PermissionDeniedError("its signature isn't its issuer's");
  return base::OkStatus();
}

}  // namespace strata::x509

#include "server/auth/jwt.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <utility>

#include "lib/base/bytes.h"
#include "lib/base/owned.h"
#include "lib/codec/json_text.h"
#include "server/auth/token_digest.h"

namespace strata::auth {
namespace {

using codec::JsonTree;

constexpr size_t kMaxTokenBytes = 64 << 10;
constexpr std::string_view kBase64Url =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

struct Algorithm {
  std::string_view name;
  const char* digest;
  bool rsa;
  int coordinate_bytes;  // of an EC signature's r and s
  const char* curve;
};
constexpr Algorithm kAlgorithms[] = {{"RS256", "SHA256", true, 0, ""},
                                     {"RS384", "SHA384", true, 0, ""},
                                     {"RS512", "SHA512", true, 0, ""},
                                     {"ES256", "SHA256", false, 32, "prime256v1"},
                                     {"ES384", "SHA384", false, 48, "secp384r1"}};

using base::Owned;
using KeyPtr = Owned<EVP_PKEY, EVP_PKEY_free>;

const Algorithm* AlgorithmOf(std::string_view name) {
  const auto* found = std::find_if(std::begin(kAlgorithms), std::end(kAlgorithms),
                                   [&](const Algorithm& one) { return one.name == name; });
  return found == std::end(kAlgorithms) ? nullptr : found;
}

// RFC 4648 §5 without padding; unused bits must be zero, so that a token has one spelling.
std::optional<std::string> FromBase64Url(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size() * 3 / 4);
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const size_t value = kBase64Url.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes += static_cast<char>(bits >> count & 0xff);
    }
  }
  if (count == 6 || (bits & ((1u << count) - 1)) != 0) return std::nullopt;
  return bytes;
}

// A number or a certificate of a JWK, as go-jose reads it (encoding.go base64URLDecode): padding
// may be there or not, and line ends are passed over.
std::optional<std::string> FromJwkBase64(std::string_view text) {
  std::string digits;
  for (const char c : text) {
    if (c == '+' || c == '/') return std::nullopt;
    if (c != '\r' && c != '\n') digits += c == '-' ? '+' : c == '_' ? '/' : c;
  }
  digits.resize(digits.find_last_not_of('=') + 1);
  digits.append((4 - digits.size() % 4) % 4, '=');
  return base::FromBase64(digits);
}

bool HasRepeatedKeys(const JsonTree& tree) {
  return std::set<std::string_view>(tree.keys.begin(), tree.keys.end()).size() != tree.keys.size();
}

// One JSON object, in which no member stands twice: readers would differ in which one counts.
std::optional<JsonTree> ParseObject(std::string_view json) {
  std::string compact;
  if (!codec::AppendCompact(json, compact)) return std::nullopt;
  JsonTree tree = codec::ParseTree(compact);
  if (tree.kind != JsonTree::Kind::kObject || HasRepeatedKeys(tree)) return std::nullopt;
  return tree;
}

std::string IdOf(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  if (size <= 0) return {};
  const TokenDigest digest =
      DigestOf("", {reinterpret_cast<const char*>(der), static_cast<size_t>(size)});
  OPENSSL_free(der);
  return base::ToBase64Url({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

KeyPtr FromPem(const std::string& name, const unsigned char* der, long size) {
  if (name == PEM_STRING_PUBLIC) return KeyPtr(d2i_PUBKEY(nullptr, &der, size));
  if (name == PEM_STRING_RSA_PUBLIC)
    return KeyPtr(d2i_PublicKey(EVP_PKEY_RSA, nullptr, &der, size));
  if (name == PEM_STRING_X509) {
    const Owned<X509, X509_free> certificate(d2i_X509(nullptr, &der, size));
    return KeyPtr(certificate == nullptr ? nullptr : X509_get_pubkey(certificate.get()));
  }
  if (name.ends_with("PRIVATE KEY")) return KeyPtr(d2i_AutoPrivateKey(nullptr, &der, size));
  return nullptr;
}

KeyPtr FromParameters(const char* type, OSSL_PARAM_BLD* builder) {
  const Owned<OSSL_PARAM, OSSL_PARAM_free> parameters(OSSL_PARAM_BLD_to_param(builder));
  const Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free> context(
      EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (parameters == nullptr || context == nullptr || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1) {
    return nullptr;
  }
  KeyPtr made(key);
  // A point that isn't on the curve, say.
  const Owned<EVP_PKEY_CTX, EVP_PKEY_CTX_free> check(
      EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  return check != nullptr && EVP_PKEY_public_check(check.get()) == 1 ? std::move(made) : nullptr;
}

KeyPtr FromJwk(const JsonTree& jwk) {
  const std::string type = codec::StringMember(&jwk, "kty"), use = codec::StringMember(&jwk, "use");
  if (!use.empty() && use != "sig") return nullptr;
  const Owned<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free> builder(OSSL_PARAM_BLD_new());
  const auto bytes = [&](std::string_view name) {
    return FromJwkBase64(codec::StringMember(&jwk, name)).value_or(std::string());
  };
  const auto data = [](const std::string& text) {
    return reinterpret_cast<const unsigned char*>(text.data());
  };
  if (type == "RSA") {
    const std::string n = bytes("n"), e = bytes("e");
    if (n.empty() || e.empty()) return nullptr;
    const Owned<BIGNUM, BN_free> modulus(BN_bin2bn(data(n), static_cast<int>(n.size()), nullptr));
    const Owned<BIGNUM, BN_free> exponent(BN_bin2bn(data(e), static_cast<int>(e.size()), nullptr));
    OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get());
    OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get());
    return FromParameters("RSA", builder.get());
  }
  const std::string curve = codec::StringMember(&jwk, "crv");
  if (type != "EC" || (curve != "P-256" && curve != "P-384")) return nullptr;
  const size_t size = curve == "P-256" ? 32 : 48;
  const std::string x = bytes("x"), y = bytes("y");
  if (x.size() != size || y.size() != size) return nullptr;
  const std::string point = "\x04" + x + y;  // uncompressed, SEC 1 §2.3.3
  OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME,
                                  size == 32 ? "prime256v1" : "secp384r1", 0);
  OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                   point.size());
  return FromParameters("EC", builder.get());
}

bool Fits(const Algorithm& algorithm, EVP_PKEY* key) {
  if (algorithm.rsa) return EVP_PKEY_is_a(key, "RSA") == 1;
  std::array<char, 64> curve{};
  return EVP_PKEY_is_a(key, "EC") == 1 &&
         EVP_PKEY_get_group_name(key, curve.data(), curve.size(), nullptr) == 1 &&
         std::string_view(curve.data()) == algorithm.curve;
}

// r and s side by side (RFC 7518 §3.4) as OpenSSL wants them: DER.
std::string ToDer(const std::string& signature) {
  const auto half = static_cast<int>(signature.size() / 2);
  const auto* bytes = reinterpret_cast<const unsigned char*>(signature.data());
  const Owned<ECDSA_SIG, ECDSA_SIG_free> parts(ECDSA_SIG_new());
  ECDSA_SIG_set0(parts.get(), BN_bin2bn(bytes, half, nullptr),
                 BN_bin2bn(bytes + half, half, nullptr));
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(parts.get(), &der);
  std::string text(reinterpret_cast<char*>(der), size > 0 ? static_cast<size_t>(size) : 0);
  OPENSSL_free(der);
  return text;
}

bool Verifies(const Algorithm& algorithm, EVP_PKEY* key, std::string_view message,
              const std::string& signature) {
  const Owned<EVP_MD_CTX, EVP_MD_CTX_free> context(EVP_MD_CTX_new());
  const bool valid =
      EVP_DigestVerifyInit_ex(context.get(), nullptr, algorithm.digest, nullptr, nullptr, key,
                              nullptr) == 1 &&
      EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()),
                       signature.size(), reinterpret_cast<const unsigned char*>(message.data()),
                       message.size()) == 1;
  ERR_clear_error();
  return valid;
}

}  // namespace

base::StatusOr<std::vector<VerifyKey>> ReadPemKeys(std::string_view pem) {
  const Owned<BIO, BIO_free> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  std::vector<VerifyKey> keys;
  char *name = nullptr, *header = nullptr;
  unsigned char* der = nullptr;
  long size = 0;
  while (PEM_read_bio(bio.get(), &name, &header, &der, &size) == 1) {
    KeyPtr key = FromPem(name, der, size);
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_clear_free(der, static_cast<size_t>(size));
    if (key == nullptr) continue;  // EC PARAMETERS and the like
    std::string id = IdOf(key.get());
    keys.push_back({std::shared_ptr<EVP_PKEY>(key.release(), EVP_PKEY_free), std::move(id)});
  }
  ERR_clear_error();
  if (keys.empty()) return base::InvalidArgumentError("no public key, certificate or private key");
  return keys;
}

base::StatusOr<std::vector<VerifyKey>> ReadJwks(std::string_view json) {
  const auto document = ParseObject(json);
  const JsonTree* list = document ? codec::Member(&*document, "keys") : nullptr;
  if (list == nullptr || list->kind != JsonTree::Kind::kList)
    return base::InvalidArgumentError("a JSON object with a list `keys` is expected");
  std::vector<VerifyKey> keys;
  for (const JsonTree& jwk : list->items) {
    if (jwk.kind != JsonTree::Kind::kObject) continue;
    KeyPtr key = FromJwk(jwk);
    if (key == nullptr) continue;
    keys.push_back({std::shared_ptr<EVP_PKEY>(key.release(), EVP_PKEY_free),
                    codec::StringMember(&jwk, "kid")});
  }
  ERR_clear_error();
  if (keys.empty()) return base::InvalidArgumentError("no key for RS256…512, ES256 or ES384");
  return keys;
}

base::StatusOr<Jwt> ParseJwt(std::string_view token) {
  const auto malformed = [](std::string_view what) {
    return base::InvalidArgumentError("malformed token: " + std::string(what));
  };
  if (token.size() > kMaxTokenBytes) return malformed("too large");
  const size_t first = token.find('.'), last = token.rfind('.');
  if (first == std::string_view::npos || token.find('.', first + 1) != last)
    return malformed("three parts are expected");
  const auto header_json = FromBase64Url(token.substr(0, first));
  const auto claims_json = FromBase64Url(token.substr(first + 1, last - first - 1));
  auto signature = FromBase64Url(token.substr(last + 1));
  if (!header_json || !claims_json || !signature) return malformed("not base64url");
  const auto header = ParseObject(*header_json);
  auto claims = ParseObject(*claims_json);
  if (!header || !claims) return malformed("JSON objects are expected");
  Jwt jwt;
  jwt.algorithm = codec::StringMember(&*header, "alg");
  if (AlgorithmOf(jwt.algorithm) == nullptr)
    return malformed("algorithm " + jwt.algorithm + " is not accepted");
  // RFC 7515 §4.1.11: what must be understood, and isn't.
  if (codec::Member(&*header, "crit") != nullptr) return malformed("crit is not accepted");
  jwt.key_id = codec::StringMember(&*header, "kid");
  jwt.signed_part = token.substr(0, last);
  jwt.signature = *std::move(signature);
  jwt.claims = *std::move(claims);
  return jwt;
}

bool HasValidSignature(const Jwt& jwt, const std::vector<VerifyKey>& keys) {
  const Algorithm& algorithm = *AlgorithmOf(jwt.algorithm);
  std::string signature = jwt.signature;
  if (!algorithm.rsa) {
    if (signature.size() != 2 * static_cast<size_t>(algorithm.coordinate_bytes)) return false;
    signature = ToDer(signature);
  }
  // The key that the token names, or else each.
  const bool named = std::any_of(keys.begin(), keys.end(), [&](const VerifyKey& one) {
    return one.id == jwt.key_id && !one.id.empty();
  });
  return std::any_of(keys.begin(), keys.end(), [&](const VerifyKey& one) {
    return (!named || one.id == jwt.key_id) && Fits(algorithm, one.key.get()) &&
           Verifies(algorithm, one.key.get(), jwt.signed_part, signature);
  });
}

}  // namespace strata::auth

#include "lib/x509/key_pair.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <optional>
#include <utility>

#include "lib/x509/pem.h"

namespace strata::x509 {
namespace {

std::shared_ptr<X509> Decode(std::string_view der) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  std::shared_ptr<X509> certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())),
                                    X509_free);
  ERR_clear_error();
  return certificate;
}

base::Status Bad(std::string_view file, std::string_view why) {
  return base::InvalidArgumentError(fmt::format("{}: {}", file, why));
}

base::Status ParseChain(const NamedPem& pem, KeyPair& pair) {
  auto& chain = pair.chain;
  for (std::string_view rest = pem.text; const auto block = NextPemBlock(rest);) {
    if (block->type != "CERTIFICATE") continue;
    if (chain.empty()) {
      auto leaf = Certificate::Parse(block->bytes);
      if (!leaf.ok()) return base::Annotate(leaf.status(), pem.file);
      pair.leaf = *std::move(leaf);
    }
    chain.push_back(Decode(block->bytes));
    if (chain.back() == nullptr)
      return Bad(pem.file, fmt::format("certificate {} in it can't be parsed", chain.size()));
  }
  return chain.empty() ? Bad(pem.file, "no PEM certificate in it") : base::OkStatus();
}

base::StatusOr<std::shared_ptr<EVP_PKEY>> ParseKey(const NamedPem& pem) {
  for (std::string_view rest = pem.text; const auto block = NextPemBlock(rest);) {
    if (!block->type.ends_with("PRIVATE KEY")) continue;
    if (block->has_headers || block->type == "ENCRYPTED PRIVATE KEY")
      return Bad(pem.file, "the private key has a passphrase, which can't be given: remove it");
    const auto* at = reinterpret_cast<const unsigned char*>(block->bytes.data());
    std::shared_ptr<EVP_PKEY> key(
        d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(block->bytes.size())), EVP_PKEY_free);
    ERR_clear_error();
    if (key == nullptr) return Bad(pem.file, "the private key in it can't be parsed");
    return key;
  }
  return Bad(pem.file, "no PEM private key in it");
}

}  // namespace

base::StatusOr<KeyPair> KeyPair::Parse(const NamedPem& certificates, const NamedPem& key) {
  KeyPair pair;
  STRATA_RETURN_IF_ERROR(ParseChain(certificates, pair));
  STRATA_ASSIGN_OR_RETURN(pair.key, ParseKey(key));
  const bool fits = X509_check_private_key(pair.chain[0].get(), pair.key.get()) == 1;
  ERR_clear_error();
  if (!fits)
    return Bad(key.file,
               fmt::format("it is not the key of the certificate in {}", certificates.file));
  return pair;
}

base::Status KeyPair::ShowBy(SSL_CTX* context) const {
  bool shown = SSL_CTX_use_certificate(context, chain[0].get()) == 1 &&
               SSL_CTX_use_PrivateKey(context, key.get()) == 1;
  for (size_t i = 1; i < chain.size(); ++i)
    shown = shown && SSL_CTX_add1_chain_cert(context, chain[i].get()) == 1;
  if (shown) return base::OkStatus();
  const char* const reason = ERR_reason_error_string(ERR_peek_error());
  ERR_clear_error();
  return base::InvalidArgumentError(reason != nullptr ? reason : "unusable");
}

std::vector<std::shared_ptr<X509>> CertificatesOf(std::string_view pem) {
  std::vector<std::shared_ptr<X509>> all;
  while (const auto block = NextPemBlock(pem)) {
    if (block->type != "CERTIFICATE") continue;
    if (auto certificate = Decode(block->bytes)) all.push_back(std::move(certificate));
  }
  return all;
}

}  // namespace strata::x509

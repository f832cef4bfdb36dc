#include "lib/x509/peer.h"

#include <fmt/format.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <chrono>
#include <utility>
#include <vector>

namespace strata::x509 {
namespace {

// Kept by the context that uses it.
struct Judge {
  PeerRules rules;
  std::shared_ptr<PeerVerdict> verdict = std::make_shared<PeerVerdict>();
};

int Slot() {
  static const int slot = SSL_CTX_get_ex_new_index(
      0, nullptr, nullptr, nullptr, [](void*, void* judge, CRYPTO_EX_DATA*, int, long, void*) {
        delete static_cast<Judge*>(judge);
      });
  return slot;
}

std::vector<std::string> Presented(X509_STORE_CTX* context) {
  std::vector<std::string> chain;
  const STACK_OF(X509)* presented = X509_STORE_CTX_get0_untrusted(context);
  for (int i = 0; i < sk_X509_num(presented); ++i) {
    unsigned char* der = nullptr;
    const int size = i2d_X509(sk_X509_value(presented, i), &der);
    chain.emplace_back(reinterpret_cast<char*>(der), size < 0 ? 0 : static_cast<size_t>(size));
    OPENSSL_free(der);
  }
  return chain;
}

// What makes OpenSSL send the alert that Go sends (crypto/tls processCertsFromClient).
int CodeOf(const base::Status& status) {
  switch (status.code()) {
    case base::StatusCode::kOk:
      return X509_V_OK;
    case base::StatusCode::kUnauthenticated:
      return X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;
    case base::StatusCode::kOutOfRange:
      return X509_V_ERR_CERT_HAS_EXPIRED;
    default:
      return X509_V_ERR_CERT_REJECTED;
  }
}

base::Status JudgeChain(X509_STORE_CTX* context, const PeerRules& rules) {
  STRATA_ASSIGN_OR_RETURN(const Chain chain, PresentedChain(context));
  return Verify(chain, *rules.roots, {rules.usage, rules.host, std::chrono::system_clock::now()});
}

int OnCertificates(X509_STORE_CTX* context, void* argument) {
  const auto& judge = *static_cast<const Judge*>(argument);
  judge.verdict->status = JudgeChain(context, judge.rules);
  X509_STORE_CTX_set_error(context, CodeOf(judge.verdict->status));
  return judge.verdict->status.ok() ? 1 : 0;
}

}  // namespace

base::StatusOr<Chain> PresentedChain(X509_STORE_CTX* context) {
  STRATA_ASSIGN_OR_RETURN(Chain chain, ParseChain(Presented(context)));
  if (chain[0]->key.key != nullptr) return chain;
  return base::InvalidArgumentError(fmt::format(
      "{} has a key that nothing is verified with: RSA of {} bits, or with an unusual exponent",
      chain[0]->Text(), chain[0]->key.rsa_bits));
}

std::shared_ptr<const PeerVerdict> JudgePeers(SSL_CTX* context, PeerRules rules) {
  delete static_cast<Judge*>(SSL_CTX_get_ex_data(context, Slot()));
  auto* judge = new Judge{.rules = std::move(rules)};
  SSL_CTX_set_ex_data(context, Slot(), judge);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_cert_verify_callback(context, OnCertificates, judge);
  return judge->verdict;
}

}  // namespace strata::x509

#include "lib/transport/net/sni.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <utility>

#include "lib/base/ascii.h"

namespace strata::net {
namespace {

int Slot() {
  static const int slot = SSL_CTX_get_ex_new_index(
      0, nullptr, nullptr, nullptr, [](void*, void* contexts, CRYPTO_EX_DATA*, int, long, void*) {
        delete static_cast<NamedContexts*>(contexts);
      });
  return slot;
}

int OnServerName(SSL* ssl, int*, void* contexts) {
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (name == nullptr) return SSL_TLSEXT_ERR_NOACK;
  if (SSL_CTX* context = static_cast<const NamedContexts*>(contexts)->Find(name))
    SSL_set_SSL_CTX(ssl, context);
  return SSL_TLSEXT_ERR_OK;
}

std::string Text(const ASN1_STRING* string) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
          static_cast<size_t>(ASN1_STRING_length(string))};
}

}  // namespace

void NamedContexts::Add(std::string_view name, const std::shared_ptr<SSL_CTX>& context) {
  contexts_.try_emplace(base::Lower(name), context);
}

SSL_CTX* NamedContexts::Find(std::string_view name) const {
  // A name's final dot says that it is whole.
  if (name.ends_with('.')) name.remove_suffix(1);
  const std::string lower = base::Lower(name);
  auto found = contexts_.find(lower);
  if (found == contexts_.end()) {
    const size_t dot = lower.find('.');
    if (dot == std::string::npos) return nullptr;
    found = contexts_.find("*" + lower.substr(dot));
  }
  return found == contexts_.end() ? nullptr : found->second.get();
}

std::vector<std::string> NamesOf(const X509* certificate) {
  std::vector<std::string> names;
  auto* alternatives = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(alternatives); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(alternatives, i);
    if (name->type == GEN_DNS) names.push_back(Text(name->d.dNSName));
  }
  GENERAL_NAMES_free(alternatives);
  X509_NAME* subject = X509_get_subject_name(certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (names.empty() && at >= 0)
    names.push_back(Text(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at))));
  return names;
}

void SelectByName(SSL_CTX* context, NamedContexts contexts) {
  auto* kept = new NamedContexts(std::move(contexts));
  SSL_CTX_set_ex_data(context, Slot(), kept);
  SSL_CTX_set_tlsext_servername_arg(context, kept);
  SSL_CTX_set_tlsext_servername_callback(context, OnServerName);
}

}  // namespace strata::net

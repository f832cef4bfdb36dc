// Certificates made by tests: real ones, with keys of their own.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace strata::testing_support {

// A key and a certificate of it; real ones, made here.
struct Identity {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  ~Identity() {
    EVP_PKEY_free(key);
    X509_free(certificate);
  }
  std::string Der() const {
    unsigned char* der = nullptr;
    const int size = i2d_X509(certificate, &der);
    std::string out(reinterpret_cast<char*>(der), static_cast<size_t>(size));
    OPENSSL_free(der);
    return out;
  }
  std::string Pem() const {
    return Text([this](BIO* bio) { PEM_write_bio_X509(bio, certificate); });
  }
  std::string KeyPem() const {
    return Text([this](BIO* bio) {
      PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
    });
  }

 private:
  template <typename Write>
  static std::string Text(const Write& write) {
    BIO* bio = BIO_new(BIO_s_mem());
    write(bio);
    char* data = nullptr;
    const auto size = static_cast<size_t>(BIO_get_mem_data(bio, &data));
    std::string text(data, size);
    BIO_free(bio);
    return text;
  }
};

inline void AddExtension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

// Signed by `issuer`, or by itself as a CA. Times are seconds since 1970; `usage`:
// extendedKeyUsage.
inline std::unique_ptr<Identity> Issue(const Identity* issuer, const std::string& name,
                                       const std::vector<std::string>& groups, int64_t not_before,
                                       int64_t not_after, const char* usage) {
  auto identity = std::make_unique<Identity>();
  X509* x = identity->certificate;
  X509_set_version(x, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x), 7);
  ASN1_TIME_set(X509_getm_notBefore(x), not_before);
  ASN1_TIME_set(X509_getm_notAfter(x), not_after);
  X509_set_pubkey(x, identity->key);
  X509_NAME* subject = X509_get_subject_name(x);
  const auto add = [&](const char* field, const std::string& value) {
    X509_NAME_add_entry_by_txt(subject, field, MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(value.data()),
                               static_cast<int>(value.size()), -1, 0);
  };
  for (const std::string& group : groups) add("O", group);
  if (!name.empty()) add("CN", name);
  const Identity* signer = issuer == nullptr ? identity.get() : issuer;
  X509_set_issuer_name(x, X509_get_subject_name(signer->certificate));
  AddExtension(x, signer->certificate, NID_basic_constraints,
               issuer == nullptr ? "critical,CA:TRUE" : "CA:FALSE");
  if (usage != nullptr) AddExtension(x, signer->certificate, NID_ext_key_usage, usage);
  X509_sign(x, signer->key, EVP_sha256());
  return identity;
}

}  // namespace strata::testing_support

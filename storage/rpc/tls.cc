#include "storage/rpc/tls.h"

#include <fmt/format.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

namespace strata::rpc {
namespace {

namespace tls = grpc::experimental;

using X509Ptr = std::unique_ptr<X509, decltype(&X509_free)>;
using KeyPtr = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using BioPtr = std::unique_ptr<BIO, decltype(&BIO_free)>;

base::StatusOr<std::string> ReadFile(const std::string& name) {
  std::ifstream file(name, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file) return base::NotFoundError(fmt::format("{}: {}", name, std::strerror(errno)));
  return text;
}

BioPtr Over(const std::string& text) {
  return {BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), &BIO_free};
}

base::StatusOr<X509Ptr> ReadCertificate(const std::string& name) {
  STRATA_ASSIGN_OR_RETURN(const std::string text, ReadFile(name));
  X509Ptr certificate(PEM_read_bio_X509(Over(text).get(), nullptr, nullptr, nullptr), &X509_free);
  ERR_clear_error();
  if (certificate == nullptr)
    return base::InvalidArgumentError(fmt::format("{}: no PEM certificate", name));
  return certificate;
}

// gRPC itself says nothing of files that it can't use: handshakes fail.
base::Status Check(const TlsFiles& files) {
  STRATA_ASSIGN_OR_RETURN(const X509Ptr certificate, ReadCertificate(files.cert));
  STRATA_ASSIGN_OR_RETURN(const std::string text, ReadFile(files.key));
  const KeyPtr key(PEM_read_bio_PrivateKey(Over(text).get(), nullptr, nullptr, nullptr),
                   &EVP_PKEY_free);
  const bool match = key != nullptr && X509_check_private_key(certificate.get(), key.get()) == 1;
  ERR_clear_error();
  if (key == nullptr)
    return base::InvalidArgumentError(fmt::format("{}: no PEM private key", files.key));
  if (!match) {
    return base::InvalidArgumentError(
        fmt::format("{} is not the key of the certificate in {}", files.key, files.cert));
  }
  if (files.client_ca.empty()) return base::OkStatus();
  return ReadCertificate(files.client_ca).status();
}

}  // namespace

base::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ServerTls(const TlsFiles& files) {
  STRATA_RETURN_IF_ERROR(Check(files));
  tls::TlsServerCredentialsOptions options(std::make_shared<tls::FileWatcherCertificateProvider>(
      files.key, files.cert, files.client_ca, files.refresh_seconds));
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  if (!files.client_ca.empty()) {
    options.watch_root_certs();
    options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return tls::TlsServerCredentials(options);
}

}  // namespace strata::rpc

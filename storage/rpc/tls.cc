#include "storage/rpc/tls.h"

#include <fmt/format.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iterator>

#include "storage/rpc/client_judge.h"
#include "x509/key_pair.h"
#include "x509/pool.h"

namespace strata::rpc {
namespace {

namespace tls = grpc::experimental;

base::StatusOr<std::string> ReadFile(const std::string& name) {
  std::ifstream file(name, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file) return base::NotFoundError(fmt::format("{}: {}", name, std::strerror(errno)));
  return text;
}

// gRPC itself says nothing of files that it can't use: handshakes fail.
base::Status Check(const TlsFiles& files) {
  STRATA_ASSIGN_OR_RETURN(const std::string certificates, ReadFile(files.cert));
  STRATA_ASSIGN_OR_RETURN(const std::string key, ReadFile(files.key));
  return x509::KeyPair::Parse({files.cert, certificates}, {files.key, key}).status();
}

}  // namespace

base::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ServerTls(const TlsFiles& files,
                                                                   const obs::Logger& log) {
  STRATA_RETURN_IF_ERROR(Check(files));
  tls::TlsServerCredentialsOptions options(std::make_shared<tls::FileWatcherCertificateProvider>(
      files.key, files.cert, files.client_ca, files.refresh_seconds));
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  if (!files.client_ca.empty()) {
    STRATA_ASSIGN_OR_RETURN(const std::string pem, ReadFile(files.client_ca));
    auto roots = x509::Pool::Parse(pem);
    if (!roots.ok()) return base::Annotate(roots.status(), files.client_ca);
    // Whose names clients are told; ClientJudge alone decides.
    options.watch_root_certs();
    options.set_cert_request_type(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_BUT_DONT_VERIFY);
    options.set_certificate_verifier(tls::ExternalCertificateVerifier::Create<ClientJudge>(
        files.client_ca, *std::move(roots), std::chrono::seconds(files.refresh_seconds), log));
  }
  return tls::TlsServerCredentials(options);
}

}  // namespace strata::rpc

#include "storage/rpc/tls.h"

#include <fmt/format.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <utility>

#include "lib/base/file.h"
#include "lib/base/owned.h"
#include "lib/x509/key_pair.h"
#include "lib/x509/pool.h"

namespace strata::rpc {
namespace {

namespace tls = grpc::experimental;

constexpr size_t kMaxFileBytes = 16u << 20;

// gRPC's own look at the copies costs little; it is what a change waits for after ours.
constexpr unsigned kLooksOfGrpc = 10;

// Security levels are OpenSSL's, by which gRPC serves.
base::Status Try(const x509::KeyPair& pair, const std::string& file) {
  const base::Owned<SSL_CTX, SSL_CTX_free> trial(SSL_CTX_new(TLS_server_method()));
  if (trial != nullptr && SSL_CTX_use_certificate(trial.get(), pair.chain[0].get()) == 1 &&
      SSL_CTX_use_PrivateKey(trial.get(), pair.key.get()) == 1) {
    return base::OkStatus();
  }
  const char* const reason = ERR_reason_error_string(ERR_peek_error());
  ERR_clear_error();
  return base::InvalidArgumentError(
      fmt::format("{}: OpenSSL doesn't serve it: {}", file, reason != nullptr ? reason : "no TLS"));
}

// Key and chain in one text: a reader can't have halves of two pairs.
std::string PemOf(const x509::KeyPair& pair) {
  const base::Owned<BIO, BIO_free> out(BIO_new(BIO_s_mem()));
  PEM_write_bio_PKCS8PrivateKey(out.get(), pair.key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  for (const auto& certificate : pair.chain) PEM_write_bio_X509(out.get(), certificate.get());
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);  // NOLINT(google-runtime-int): OpenSSL's
  return {text, static_cast<size_t>(size)};
}

}  // namespace

base::StatusOr<std::unique_ptr<ServerTls>> ServerTls::Load(const TlsFiles& files,
                                                           const obs::Logger& log) {
  std::unique_ptr<ServerTls> made(new ServerTls(files, log));
  STRATA_RETURN_IF_ERROR(made->LookAtPair());
  STRATA_RETURN_IF_ERROR(made->LookAtRoots());
  // gRPC would only serve nobody.
  STRATA_RETURN_IF_ERROR(base::ReadFile(made->pair_file_.path(), kMaxFileBytes).status());
  made->thread_ = std::thread([tls = made.get()] { tls->Run(); });
  return made;
}

ServerTls::~ServerTls() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

std::shared_ptr<grpc::ServerCredentials> ServerTls::Credentials() const {
  const bool judges = !files_.client_ca.empty();
  tls::TlsServerCredentialsOptions options(std::make_shared<tls::FileWatcherCertificateProvider>(
      pair_file_.path(), pair_file_.path(), judges ? roots_file_.path() : "",
      std::max(1u, files_.refresh_seconds / kLooksOfGrpc)));
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  if (judges) {
    // Whose names clients are told; ClientJudge alone decides.
    options.watch_root_certs();
    options.set_cert_request_type(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_BUT_DONT_VERIFY);
    options.set_certificate_verifier(
        tls::ExternalCertificateVerifier::Create<ClientJudge>(client_roots_, log_));
  }
  return tls::TlsServerCredentials(options);
}

void ServerTls::Run() {
  absl::MutexLock lock(&mu_);
  const auto stopping = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return stopping_; };
  while (!mu_.AwaitWithTimeout(absl::Condition(&stopping), absl::Seconds(files_.refresh_seconds))) {
    Report(pair_, LookAtPair());
    Report(roots_, LookAtRoots());
  }
}

void ServerTls::Report(Unit& unit, const base::Status& verdict) {
  if (verdict == unit.reported) return;
  if (verdict.ok()) {
    log_.Info("The TLS files can be used again");
  } else {
    log_.Warning("A TLS file can't be used; what was read before serves on", {{"err", verdict}});
  }
  unit.reported = verdict;
}

base::Status ServerTls::LookAtPair() {
  STRATA_ASSIGN_OR_RETURN(std::string certificates, base::ReadFile(files_.cert, kMaxFileBytes));
  STRATA_ASSIGN_OR_RETURN(std::string key, base::ReadFile(files_.key, kMaxFileBytes));
  std::vector<std::string> contents = {std::move(certificates), std::move(key)};
  if (contents == pair_.contents) return pair_.verdict;
  pair_.contents = std::move(contents);
  pair_.verdict = TakePair(pair_.contents[0], pair_.contents[1]);
  return pair_.verdict;
}

base::Status ServerTls::TakePair(const std::string& certificates, const std::string& key) {
  STRATA_ASSIGN_OR_RETURN(const x509::KeyPair pair,
                          x509::KeyPair::Parse({files_.cert, certificates}, {files_.key, key}));
  STRATA_RETURN_IF_ERROR(Try(pair, files_.cert));
  STRATA_RETURN_IF_ERROR(pair_file_.Put(PemOf(pair)));
  if (thread_.joinable()) log_.Info("Took over a new certificate", {{"file", files_.cert}});
  return base::OkStatus();
}

base::Status ServerTls::LookAtRoots() {
  if (files_.client_ca.empty()) return base::OkStatus();
  STRATA_ASSIGN_OR_RETURN(std::string pem, base::ReadFile(files_.client_ca, kMaxFileBytes));
  std::vector<std::string> contents = {std::move(pem)};
  if (contents == roots_.contents) return roots_.verdict;
  roots_.contents = std::move(contents);
  roots_.verdict = TakeRoots(roots_.contents[0]);
  return roots_.verdict;
}

base::Status ServerTls::TakeRoots(const std::string& pem) {
  auto roots = x509::Pool::Parse(pem);
  if (!roots.ok()) return base::Annotate(roots.status(), files_.client_ca);
  STRATA_RETURN_IF_ERROR(roots_file_.Put(pem));
  client_roots_->Put(*std::move(roots));
  if (thread_.joinable()) log_.Info("Took over new client CAs", {{"file", files_.client_ca}});
  return base::OkStatus();
}

}  // namespace strata::rpc

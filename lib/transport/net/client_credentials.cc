#include "lib/transport/net/client_credentials.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <string_view>
#include <utility>

#include "lib/base/file.h"
#include "lib/x509/certificate.h"
#include "lib/x509/system_roots.h"
#include "lib/x509/verify.h"

namespace strata::net {
namespace {

// Whole bundles of CAs have a few hundred KiB.
constexpr size_t kMaxFileBytes = 16u << 20;

base::StatusOr<std::string> Read(const NamedFile& file) {
  auto content = base::ReadFile(file.path, kMaxFileBytes);
  if (content.ok()) return content;
  return base::InvalidArgumentError(
      fmt::format("{}: cannot read {}", file.flag, base::Message(content.status())));
}

struct BioFree {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
using Bio = std::unique_ptr<BIO, BioFree>;

Bio Memory(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

using Key = std::unique_ptr<EVP_PKEY, OpensslFree>;

base::StatusOr<Key> ParseKey(const std::string& pem, const NamedFile& file) {
  const Bio bio = Memory(pem);
  bool encrypted = false;
  // Without this, OpenSSL asks for the passphrase on the terminal.
  const auto refuse = [](char*, int, int, void* asked) {
    *static_cast<bool*>(asked) = true;
    return -1;
  };
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, refuse, &encrypted));
  ERR_clear_error();
  if (encrypted) {
    return base::InvalidArgumentError(
        fmt::format("{}: {} is encrypted; give it as `openssl pkey` writes it without a passphrase",
                    file.flag, file.path));
  }
  if (key == nullptr) {
    return base::InvalidArgumentError(
        fmt::format("{}: {} holds no private key in PEM", file.flag, file.path));
  }
  return key;
}

std::vector<std::unique_ptr<X509, OpensslFree>> ParseChain(const std::string& pem) {
  std::vector<std::unique_ptr<X509, OpensslFree>> chain;
  const Bio bio = Memory(pem);
  while (X509* const one = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr))
    chain.emplace_back(one);
  ERR_clear_error();  // the end is an error to it
  return chain;
}

// False, with the reason in OpenSSL's queue, where it is too weak for OpenSSL.
bool Show(SSL_CTX* context, const ClientIdentity& identity) {
  bool shown = SSL_CTX_use_certificate(context, identity.chain[0].get()) == 1 &&
               SSL_CTX_use_PrivateKey(context, identity.key.get()) == 1;
  for (size_t i = 1; i < identity.chain.size(); ++i)
    shown = shown && SSL_CTX_add1_chain_cert(context, identity.chain[i].get()) == 1;
  return shown;
}

}  // namespace

ClientTls::Context ClientTls::For(const std::string& host) const {
  std::unique_ptr<SSL_CTX, OpensslFree> context(SSL_CTX_new(TLS_client_method()));
  SSL_CTX* const c = context.get();
  SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
  SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (identity != nullptr) Show(c, *identity);  // TakePair has tried it
  auto verdict = x509::JudgePeers(c, {roots, x509::Usage::kServer, host});
  return {std::move(context), std::move(verdict)};
}

ClientCredentials::ClientCredentials(ClientTlsOptions options, const obs::Logger& log,
                                     std::optional<obs::Gauge> ends)
    : options_(std::make_shared<const ClientTlsOptions>(std::move(options))),
      log_(log),
      ends_(ends) {
  now_.options = options_;
}

base::StatusOr<std::unique_ptr<ClientCredentials>> ClientCredentials::Load(
    ClientTlsOptions options, const obs::Logger& log, std::optional<obs::Gauge> ends) {
  const NamedFile ca = options.ca;
  if (options.certificate.path.empty() != options.key.path.empty()) {
    return base::InvalidArgumentError(
        fmt::format("{} and {} go together", options.certificate.flag, options.key.flag));
  }
  std::unique_ptr<ClientCredentials> files(new ClientCredentials(std::move(options), log, ends));
  absl::MutexLock lock(&files->mu_);
  if (ca.path.empty()) {
    auto roots = x509::SystemRoots();
    if (!roots.ok())
      return base::Annotate(base::InvalidArgumentError(base::Message(roots.status())),
                            fmt::format("{} isn't given", ca.flag));
    files->now_.roots = std::make_shared<const x509::Pool>(*std::move(roots));
    files->now_.roots_from = fmt::format("the system's CAs, as {} isn't given", ca.flag);
  }
  STRATA_RETURN_IF_ERROR(files->LookAtRoots());
  STRATA_RETURN_IF_ERROR(files->LookAtPair());
  return files;
}

ClientTls ClientCredentials::Current() {
  absl::MutexLock lock(&mu_);
  Report(ca_, LookAtRoots());
  Report(pair_, LookAtPair());
  return now_;
}

void ClientCredentials::Report(Unit& unit, const base::Status& verdict) {
  if (verdict == unit.reported) return;
  if (verdict.ok()) {
    log_.Info("The TLS files can be used again", {{"for", options_->server}});
  } else {
    log_.Warning("A TLS file can't be used; what was read before stays in use",
                 {{"for", options_->server}, {"err", verdict}});
  }
  unit.reported = verdict;
}

base::Status ClientCredentials::LookAtRoots() {
  if (options_->ca.path.empty()) return base::OkStatus();
  STRATA_ASSIGN_OR_RETURN(std::string pem, Read(options_->ca));
  std::vector<std::string> contents = {std::move(pem)};
  if (contents == ca_.contents) return ca_.parsed;
  ca_.contents = std::move(contents);
  ca_.parsed = TakeRoots(ca_.contents[0]);
  return ca_.parsed;
}

base::Status ClientCredentials::TakeRoots(const std::string& pem) {
  auto roots = x509::Pool::Parse(pem);
  if (!roots.ok()) {
    return base::InvalidArgumentError(fmt::format(
        "{}: {}: {}", options_->ca.flag, options_->ca.path, base::Message(roots.status())));
  }
  now_.roots = std::make_shared<const x509::Pool>(*std::move(roots));
  now_.roots_from = fmt::format("{} {}", options_->ca.flag, options_->ca.path);
  return base::OkStatus();
}

base::Status ClientCredentials::LookAtPair() {
  if (options_->certificate.path.empty()) return base::OkStatus();
  STRATA_ASSIGN_OR_RETURN(std::string certificate, Read(options_->certificate));
  STRATA_ASSIGN_OR_RETURN(std::string key, Read(options_->key));
  std::vector<std::string> contents = {std::move(certificate), std::move(key)};
  if (contents == pair_.contents) return pair_.parsed;
  pair_.contents = std::move(contents);
  pair_.parsed = TakePair(pair_.contents[0], pair_.contents[1]);
  return pair_.parsed;
}

base::Status ClientCredentials::TakePair(const std::string& certificate, const std::string& key) {
  auto made = std::make_shared<ClientIdentity>();
  made->chain = ParseChain(certificate);
  const auto read = x509::ParseChain(certificate);
  if (!read.ok() || made->chain.empty()) {
    return base::InvalidArgumentError(
        fmt::format("{}: {}: {}", options_->certificate.flag, options_->certificate.path,
                    read.ok() ? "no certificate" : base::Message(read.status())));
  }
  STRATA_ASSIGN_OR_RETURN(made->key, ParseKey(key, options_->key));
  if (X509_check_private_key(made->chain[0].get(), made->key.get()) != 1) {
    ERR_clear_error();
    return base::InvalidArgumentError(fmt::format("{}: {} isn't the key of the certificate in {}",
                                                  options_->key.flag, options_->key.path,
                                                  options_->certificate.path));
  }
  const std::unique_ptr<SSL_CTX, OpensslFree> trial(SSL_CTX_new(TLS_client_method()));
  if (!Show(trial.get(), *made)) {
    const char* const reason = ERR_reason_error_string(ERR_peek_error());
    ERR_clear_error();
    return base::InvalidArgumentError(fmt::format("{}: {}: {}", options_->certificate.flag,
                                                  options_->certificate.path,
                                                  reason != nullptr ? reason : "unusable"));
  }
  made->ends = read->front()->not_after;
  made->text =
      fmt::format("{} {}, {}, valid until {}", options_->certificate.flag,
                  options_->certificate.path, read->front()->Text(), x509::TimeText(made->ends));
  if (ends_.has_value()) ends_->Set(static_cast<double>(made->ends));
  if (now_.identity != nullptr && now_.identity->text != made->text)
    log_.Info("Took over the new client certificate",
              {{"for", options_->server}, {"is", made->text}});
  now_.identity = std::move(made);
  return base::OkStatus();
}

}  // namespace strata::net

#include "lib/transport/net/client_credentials.h"

#include <fmt/format.h>
#include <openssl/ssl.h>

#include <string_view>
#include <utility>

#include "lib/base/file.h"
#include "lib/x509/certificate.h"
#include "lib/x509/system_roots.h"

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

}  // namespace

ClientTls::Context ClientTls::For(const std::string& host) const {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  SSL_CTX* const c = context.get();
  SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
  SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(c, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (identity != nullptr) identity->pair.ShowBy(c).IgnoreError();  // TakePair has tried it
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
  auto pair =
      x509::KeyPair::Parse({options_->certificate.path, certificate}, {options_->key.path, key});
  if (!pair.ok()) {
    const bool of_key = options_->key.path != options_->certificate.path &&
                        base::Message(pair.status()).starts_with(options_->key.path + ":");
    return base::Annotate(pair.status(), of_key ? options_->key.flag : options_->certificate.flag);
  }
  const std::shared_ptr<SSL_CTX> trial(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  if (const base::Status shown = pair->ShowBy(trial.get()); !shown.ok()) {
    return base::Annotate(
        shown, fmt::format("{}: {}", options_->certificate.flag, options_->certificate.path));
  }
  auto made = std::make_shared<ClientIdentity>();
  made->pair = *std::move(pair);
  made->ends = made->pair.leaf->not_after;
  made->text =
      fmt::format("{} {}, {}, valid until {}", options_->certificate.flag,
                  options_->certificate.path, made->pair.leaf->Text(), x509::TimeText(made->ends));
  if (ends_.has_value()) ends_->Set(static_cast<double>(made->ends));
  if (now_.identity != nullptr && now_.identity->text != made->text)
    log_.Info("Took over the new client certificate",
              {{"for", options_->server}, {"is", made->text}});
  now_.identity = std::move(made);
  return base::OkStatus();
}

}  // namespace strata::net

#include "lib/transport/net/credentials.h"

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <atomic>
#include <utility>

#include "lib/transport/net/self_signed.h"
#include "lib/transport/net/sni.h"
#include "lib/x509/key_pair.h"
#include "lib/x509/peer.h"

namespace strata::net {
namespace {

// AEAD and forward secrecy; the smaller key first, for it is the faster one.
constexpr const char* kTls12Ciphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr const char* kTls13Ciphers =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

// Go's (crypto/tls defaultSupportedSignatureAlgorithms).
constexpr const char* kSignatures =
    "rsa_pss_rsae_sha256:ecdsa_secp256r1_sha256:ed25519:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:"
    "rsa_pkcs1_sha256:rsa_pkcs1_sha384:rsa_pkcs1_sha512:ecdsa_secp384r1_sha384:"
    "ecdsa_secp521r1_sha512";

// Of a client. Who has more, or larger ones, isn't checked at an io thread's expense: eight of RSA
// with 4096 bits fit.
constexpr int kMaxCertificates = 8;
constexpr long kMaxCertificateBytes = 16 << 10;  // NOLINT(google-runtime-int): OpenSSL's

base::Status SslError(std::string_view what) {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  const std::string message = fmt::format("{}: {}", what, reason == nullptr ? "unusable" : reason);
  ERR_clear_error();
  return base::InvalidArgumentError(message);
}

int SelectAlpn(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
               unsigned in_size, void* http2) {
  // RFC 7301 §3.2: the server's preference; no common protocol ends the handshake.
  static constexpr unsigned char kHttp2[] = "\x02h2\x08http/1.1";
  static constexpr unsigned char kHttp1[] = "\x08http/1.1";
  unsigned char* selected = nullptr;
  const int result =
      http2 != nullptr
          ? SSL_select_next_proto(&selected, out_size, kHttp2, sizeof kHttp2 - 1, in, in_size)
          : SSL_select_next_proto(&selected, out_size, kHttp1, sizeof kHttp1 - 1, in, in_size);
  *out = selected;
  return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

base::StatusOr<std::string> Tls12Ciphers(const std::vector<std::string>& iana_names) {
  if (iana_names.empty()) return std::string(kTls12Ciphers);
  std::string list;
  for (const std::string& name : iana_names) {
    const std::string_view own = OPENSSL_cipher_name(name.c_str());
    if (own == "(NONE)")
      return base::InvalidArgumentError(fmt::format("cipher suite {} is not supported", name));
    if (name.starts_with("TLS_AES_") || name.starts_with("TLS_CHACHA20_")) continue;
    if (std::string_view(kTls12Ciphers).find(own) == std::string_view::npos) {
      return base::InvalidArgumentError(fmt::format("cipher suite {} is not secure", name));
    }
    list += fmt::format("{}{}", list.empty() ? "" : ":", own);
  }
  return list.empty() ? std::string(kTls12Ciphers) : list;
}

// Everything but the keys.
base::StatusOr<std::shared_ptr<SSL_CTX>> NewContext(const TlsOptions& options) {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (context == nullptr) return SslError("TLS");
  if (options.min_version != "VersionTLS12" && options.min_version != "VersionTLS13") {
    return base::InvalidArgumentError(fmt::format(
        "TLS version {} is not supported: VersionTLS12 or VersionTLS13", options.min_version));
  }
  SSL_CTX* c = context.get();
  // Versions, suites, curves and signatures are all named below. Beyond them a level would forbid
  // certificates that Go serves: RSA of 1024 bits, chains that end in SHA-1.
  SSL_CTX_set_security_level(c, 0);
  SSL_CTX_set_min_proto_version(
      c, options.min_version == "VersionTLS13" ? TLS1_3_VERSION : TLS1_2_VERSION);
  SSL_CTX_set_options(c, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                             SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_TICKET |
                             SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(c, 0);
  SSL_CTX_set_max_early_data(c, 0);
  // Record buffers stay while a connection is in use; Connection gives them back when it is idle.
  SSL_CTX_set_mode(c, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(c, 1);
  STRATA_ASSIGN_OR_RETURN(const std::string ciphers, Tls12Ciphers(options.cipher_suites));
  if (SSL_CTX_set_cipher_list(c, ciphers.c_str()) != 1 ||
      SSL_CTX_set_ciphersuites(c, kTls13Ciphers) != 1 ||
      SSL_CTX_set1_groups_list(c, "X25519:P-256:P-384:P-521") != 1 ||
      SSL_CTX_set1_sigalgs_list(c, kSignatures) != 1) {
    return SslError("cipher suites");
  }
  // Ask for a certificate, take any or none, of a length and with keys that are bearable, before
  // anything is verified with them: the authenticators judge what is handed up.
  SSL_CTX_set_verify(c, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_max_cert_list(c, kMaxCertificateBytes);
  SSL_CTX_set_cert_verify_callback(
      c,
      [](X509_STORE_CTX* presented, void*) {
        const bool long_chain =
            sk_X509_num(X509_STORE_CTX_get0_untrusted(presented)) > kMaxCertificates;
        if (!long_chain && x509::PresentedChain(presented).ok()) return 1;
        X509_STORE_CTX_set_error(
            presented, long_chain ? X509_V_ERR_CERT_CHAIN_TOO_LONG : X509_V_ERR_CERT_REJECTED);
        return 0;
      },
      nullptr);
  // Not dereferenced: null means HTTP/1.1 alone.
  SSL_CTX_set_alpn_select_cb(c, SelectAlpn, options.http2 ? c : nullptr);
  return context;
}

// Which flag named the file that an error begins with.
std::string_view FlagOf(const base::Status& error, const TlsOptions& options) {
  if (options.cert_file.empty()) return "--cert-dir";
  return options.cert_file != options.key_file &&
                 base::Message(error).starts_with(options.key_file + ":")
             ? "--tls-private-key-file"
             : "--tls-cert-file";
}

}  // namespace

struct Credentials::State {
  struct Pair {
    std::string cert_file, key_file;
    std::string certificate, key;  // PEM; empty until it is read
  };

  // `shown`: the files of the first pair.
  State(TlsOptions tls_options, Pair shown)
      : options(std::move(tls_options)), client_cas(options.client_cas.size()) {
    pairs.push_back(std::move(shown));
    for (const NamedPair& named : options.named_pairs)
      pairs.push_back({named.cert_file, named.key_file, "", ""});
  }

  struct Shown {
    std::shared_ptr<SSL_CTX> context;
    x509::KeyPair pair;
  };
  // A context that shows `pair`.
  base::StatusOr<Shown> MakeContext(const Pair& pair) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    Shown made;
    STRATA_ASSIGN_OR_RETURN(made.context, NewContext(options));
    STRATA_ASSIGN_OR_RETURN(made.pair, x509::KeyPair::Parse({pair.cert_file, pair.certificate},
                                                            {pair.key_file, pair.key}));
    STRATA_RETURN_IF_ERROR(base::Annotate(made.pair.ShowBy(made.context.get()), pair.cert_file));
    for (const auto* pems : {&client_cas, &cluster_cas}) {
      for (const std::string& pem : *pems) {
        for (const auto& ca : x509::CertificatesOf(pem))
          SSL_CTX_add_client_CA(made.context.get(), ca.get());
      }
    }
    return made;
  }

  // Makes a context of what was read and publishes it; an error leaves the one that is.
  base::Status Rebuild() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    STRATA_ASSIGN_OR_RETURN(const auto shown, MakeContext(pairs[0]));
    // Names that were given go before those of another certificate.
    NamedContexts named;
    for (const bool given : {true, false}) {
      for (size_t i = 1; i < pairs.size(); ++i) {
        const auto& names = options.named_pairs[i - 1].names;
        if (pairs[i].certificate.empty() || names.empty() == given) continue;
        STRATA_ASSIGN_OR_RETURN(const auto other, MakeContext(pairs[i]));
        for (const std::string& name : given ? names : NamesOf(other.pair.chain.front().get()))
          named.Add(name, other.context);
      }
    }
    if (!named.empty()) SelectByName(shown.context.get(), std::move(named));
    expires = static_cast<double>(shown.pair.leaf->not_after);
    context = shown.context;
    return base::OkStatus();
  }

  // Puts `value` into its place and publishes contexts of it; an error leaves everything as it is.
  template <typename Value>
  base::Status Replace(Value& place, Value value) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    std::swap(place, value);
    const base::Status status = Rebuild();
    if (!status.ok()) std::swap(place, value);
    return status;
  }

  base::Status SetPair(size_t index, const std::vector<std::string>& contents)
      ABSL_LOCKS_EXCLUDED(mu) {
    absl::MutexLock lock(&mu);
    return Replace(pairs[index],
                   Pair{pairs[index].cert_file, pairs[index].key_file, contents[0], contents[1]});
  }

  base::Status SetClientCa(size_t index, const std::string& pem) ABSL_LOCKS_EXCLUDED(mu) {
    if (x509::CertificatesOf(pem).empty()) {
      return base::InvalidArgumentError(
          fmt::format("{}: no PEM certificate in it", options.client_cas[index].file));
    }
    absl::MutexLock lock(&mu);
    return Replace(client_cas[index], pem);
  }

  const TlsOptions options;
  std::atomic<double> expires = 0;
  mutable absl::Mutex mu;
  std::vector<Pair> pairs ABSL_GUARDED_BY(mu);  // the first, and the named ones
  std::vector<std::string> client_cas ABSL_GUARDED_BY(mu);
  std::vector<std::string> cluster_cas ABSL_GUARDED_BY(mu);
  std::shared_ptr<SSL_CTX> context ABSL_GUARDED_BY(mu);
};

base::StatusOr<std::unique_ptr<Credentials>> Credentials::Load(const TlsOptions& options,
                                                               files::FileWatcher& watcher,
                                                               const base::Clock& clock,
                                                               obs::Metrics& metrics) {
  if (options.cert_file.empty() != options.key_file.empty()) {
    return base::InvalidArgumentError("--tls-cert-file and --tls-private-key-file go together");
  }
  STRATA_RETURN_IF_ERROR(
      base::Annotate(Tls12Ciphers(options.cipher_suites).status(), "--tls-cipher-suites"));
  State::Pair shown{options.cert_file, options.key_file, "", ""};
  if (options.cert_file.empty()) {
    STRATA_RETURN_IF_ERROR(
        base::Annotate(EnsureSelfSignedPair(options.cert_dir, clock.WallNow()), "--cert-dir"));
    shown = {options.cert_dir + "/apiserver.crt", options.cert_dir + "/apiserver.key", "", ""};
  }
  const auto state = std::make_shared<State>(options, shown);
  const auto follow = [&](const char* name, size_t index, const std::string& certificate,
                          const std::string& key) {
    const auto set = [state, index](const std::vector<std::string>& contents) {
      return state->SetPair(index, contents);
    };
    return watcher.Watch(name, {certificate, key}, set);
  };
  const base::Status loaded = follow("serving-certificate", 0, shown.cert_file, shown.key_file);
  STRATA_RETURN_IF_ERROR(base::Annotate(loaded, FlagOf(loaded, options)));
  for (size_t i = 0; i < options.named_pairs.size(); ++i) {
    const NamedPair& named = options.named_pairs[i];
    STRATA_RETURN_IF_ERROR(base::Annotate(
        follow("sni-certificate", i + 1, named.cert_file, named.key_file), "--tls-sni-cert-key"));
  }
  for (size_t i = 0; i < options.client_cas.size(); ++i) {
    const auto set = [state, i](const std::vector<std::string>& contents) {
      return state->SetClientCa(i, contents[0]);
    };
    STRATA_RETURN_IF_ERROR(
        base::Annotate(watcher.Watch("client-ca-names", {options.client_cas[i].file}, set),
                       options.client_cas[i].flag));
  }
  metrics.AddGaugeFunction("strata_serving_certificate_expiration_timestamp_seconds",
                           "When the serving certificate ends, in seconds since 1970.", {},
                           [state] { return state->expires.load(); });
  return std::unique_ptr<Credentials>(new Credentials(state));
}

base::Status Credentials::SetClusterCas(const std::string& pem) {
  absl::MutexLock lock(&state_->mu);
  return state_->Replace(state_->cluster_cas, std::vector<std::string>{pem});
}

std::shared_ptr<SSL_CTX> Credentials::context() const {
  absl::MutexLock lock(&state_->mu);
  return state_->context;
}

}  // namespace strata::net

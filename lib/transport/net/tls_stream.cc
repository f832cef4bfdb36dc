#include "lib/transport/net/tls_stream.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace strata::net {
namespace {

std::string Der(X509* certificate) {
  unsigned char* bytes = nullptr;
  const int size = i2d_X509(certificate, &bytes);
  std::string der;
  if (size > 0) der.assign(reinterpret_cast<char*>(bytes), static_cast<size_t>(size));
  OPENSSL_free(bytes);
  return der;
}

}  // namespace

// OpenSSL's view of in_ and out_. A memory BIO would copy what arrives once more and grow without
// bound.
struct TlsStream::Bio {
  static TlsStream& Self(BIO* bio) { return *static_cast<TlsStream*>(BIO_get_data(bio)); }

  static int Read(BIO* bio, char* buffer, int size) {
    BIO_clear_retry_flags(bio);
    std::string_view& in = Self(bio).in_;
    if (in.empty()) {
      BIO_set_retry_read(bio);
      return -1;
    }
    const size_t n = std::min(in.size(), static_cast<size_t>(size));
    std::memcpy(buffer, in.data(), n);
    in.remove_prefix(n);
    return static_cast<int>(n);
  }

  static int Write(BIO* bio, const char* buffer, int size) {
    Self(bio).out_.append(buffer, static_cast<size_t>(size));
    return size;
  }

  static long Control(BIO*, int command, long, void*) {  // NOLINT(google-runtime-int)
    return command == BIO_CTRL_FLUSH ? 1 : 0;
  }

  static const BIO_METHOD* Method() {
    static const BIO_METHOD* const method = [] {
      BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "strata");
      BIO_meth_set_read(m, Read);
      BIO_meth_set_write(m, Write);
      BIO_meth_set_ctrl(m, Control);
      return m;
    }();
    return method;
  }
};

TlsStream::TlsStream(SSL_CTX& context, std::string& out) : out_(out), ssl_(SSL_new(&context)) {
  Attach();
  CountKeyUpdates();
  SSL_set_accept_state(ssl_);
}

TlsStream::TlsStream(SSL_CTX& context, const ClientHello& hello, std::string& out)
    : out_(out), ssl_(SSL_new(&context)) {
  Attach();
  const std::string offer = static_cast<char>(hello.protocol.size()) + hello.protocol;
  SSL_set_alpn_protos(ssl_, reinterpret_cast<const unsigned char*>(offer.data()),
                      static_cast<unsigned>(offer.size()));
  if (!hello.server_name.empty()) SSL_set_tlsext_host_name(ssl_, hello.server_name.c_str());
  SSL_set_connect_state(ssl_);
}

void TlsStream::Attach() {
  BIO* bio = BIO_new(Bio::Method());
  if (ssl_ == nullptr || bio == nullptr) std::abort();  // out of memory
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_, bio, bio);
}

void TlsStream::CountKeyUpdates() {
  SSL_set_msg_callback(
      ssl_, [](int sent, int, int type, const void* message, size_t size, SSL*, void* self) {
        if (sent != 0 || type != SSL3_RT_HANDSHAKE || size == 0 ||
            *static_cast<const uint8_t*>(message) != SSL3_MT_KEY_UPDATE) {
          return;
        }
        TlsStream& stream = *static_cast<TlsStream*>(self);
        ++stream.key_updates_;
        if (stream.flooded()) stream.in_ = {};
      });
  SSL_set_msg_callback_arg(ssl_, this);
}

TlsStream::~TlsStream() {
  SSL_free(ssl_);
}

TlsStream::Result TlsStream::Judge(int result) {
  if (result > 0) return Result::kOk;
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
      return Result::kWantInput;
    case SSL_ERROR_ZERO_RETURN:
      return Result::kClosed;
    default:
      break;
  }
  const unsigned long code = ERR_peek_last_error();  // NOLINT(google-runtime-int)
  code_ = ERR_peek_error();
  was_plain_http_ = ERR_GET_REASON(code) == SSL_R_HTTP_REQUEST;
  const char* reason = ERR_reason_error_string(code);
  error_ = reason == nullptr ? "protocol error" : reason;
  ERR_clear_error();
  return Result::kFailed;
}

TlsStream::Result TlsStream::Handshake() {
  return Judge(SSL_do_handshake(ssl_));
}

TlsStream::Result TlsStream::Read(std::span<char> buffer, size_t& read) {
  read = 0;
  const int n =
      SSL_read(ssl_, buffer.data(), static_cast<int>(std::min<size_t>(buffer.size(), INT_MAX)));
  if (n > 0) read = static_cast<size_t>(n);
  data_bytes_ += read;
  return Judge(n);
}

TlsStream::Result TlsStream::Write(std::string_view plaintext) {
  return Judge(SSL_write(ssl_, plaintext.data(), static_cast<int>(plaintext.size())));
}

bool TlsStream::Probe() {
  // Our keys change, the peer's needn't (RFC 8446 §4.6.3).
  const bool sent = SSL_version(ssl_) >= TLS1_3_VERSION &&
                    SSL_key_update(ssl_, SSL_KEY_UPDATE_NOT_REQUESTED) == 1 &&
                    SSL_do_handshake(ssl_) == 1;
  ERR_clear_error();
  return sent;
}

void TlsStream::CloseNotify() {
  if (secured()) SSL_shutdown(ssl_);
  ERR_clear_error();
}

void TlsStream::FreeBuffers() {
  SSL_free_buffers(ssl_);  // refuses while they hold something
}

std::string TlsStream::Error() {
  return std::exchange(error_, {});
}

bool TlsStream::secured() const {
  return SSL_is_init_finished(ssl_) == 1;
}

std::string TlsStream::Alpn() const {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_, &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

std::vector<std::string> TlsStream::PeerChain() const {
  std::vector<std::string> chain;
  X509* leaf = SSL_get0_peer_certificate(ssl_);
  if (leaf == nullptr) return chain;
  chain.push_back(Der(leaf));
  // A server's view of the chain is without the leaf.
  const STACK_OF(X509)* rest = SSL_get_peer_cert_chain(ssl_);
  for (int i = 0; i < sk_X509_num(rest); ++i) chain.push_back(Der(sk_X509_value(rest, i)));
  return chain;
}

}  // namespace strata::net

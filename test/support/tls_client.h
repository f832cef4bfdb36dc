// For tests: a blocking TLS client over a real socket, which waits ten seconds at most.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <string_view>

#include "lib/transport/net/self_signed.h"

namespace strata::testing_support {

class TlsClient {
 public:
  struct Options {
    std::string alpn = {};  // "\x02h2"
    const net::PemPair* certificate = nullptr;
    std::string server_name = {};
    int version = 0;  // TLS1_2_VERSION; 0: whatever
    int receive_buffer = 0;
    SSL_SESSION* resumes = nullptr;  // of a client that is still there
    bool handshake = true;
  };

  explicit TlsClient(uint16_t port) : TlsClient(port, Options()) {}
  TlsClient(uint16_t port, const Options& options)
      : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    // A write to a connection that the server has closed fails; it doesn't end the tests.
    signal(SIGPIPE, SIG_IGN);
    const timeval patience{10, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    const int on = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (options.receive_buffer > 0) {
      setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &options.receive_buffer,
                 sizeof options.receive_buffer);
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    context_ = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(context_, 0);
    if (options.version != 0) {
      SSL_CTX_set_min_proto_version(context_, options.version);
      SSL_CTX_set_max_proto_version(context_, options.version);
    }
    if (!options.alpn.empty()) {
      SSL_CTX_set_alpn_protos(context_, reinterpret_cast<const unsigned char*>(options.alpn.data()),
                              static_cast<unsigned>(options.alpn.size()));
    }
    if (options.certificate != nullptr) {
      BIO* bio = BIO_new_mem_buf(options.certificate->certificate.data(), -1);
      X509* certificate = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
      BIO_free(bio);
      SSL_CTX_use_certificate(context_, certificate);
      X509_free(certificate);
      bio = BIO_new_mem_buf(options.certificate->key.data(), -1);
      EVP_PKEY* key = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
      BIO_free(bio);
      SSL_CTX_use_PrivateKey(context_, key);
      EVP_PKEY_free(key);
    }
    ssl_ = SSL_new(context_);
    SSL_set_fd(ssl_, fd_);
    if (!options.server_name.empty()) SSL_set_tlsext_host_name(ssl_, options.server_name.c_str());
    if (options.resumes != nullptr) SSL_set_session(ssl_, options.resumes);
    if (options.handshake) Handshake();
  }
  ~TlsClient() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
    close(fd_);
    ERR_clear_error();
  }
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  bool Handshake() { return established_ = SSL_connect(ssl_) == 1; }
  bool connected() const { return connected_; }
  bool established() const { return established_; }
  int fd() const { return fd_; }
  SSL* ssl() { return ssl_; }

  bool Write(std::string_view bytes) {
    return SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size())) ==
           static_cast<int>(bytes.size());
  }
  // Until `size` bytes are there, or the end.
  std::string Read(size_t size) {
    std::string all(size, '\0');
    size_t filled = 0;
    while (filled < size) {
      const int n = SSL_read(ssl_, all.data() + filled, static_cast<int>(size - filled));
      if (n <= 0) break;
      filled += static_cast<size_t>(n);
    }
    all.resize(filled);
    return all;
  }
  std::string ReadUntil(std::string_view end) {
    std::string all;
    while (!all.ends_with(end)) {
      char c;
      if (SSL_read(ssl_, &c, 1) != 1) break;
      all.push_back(c);
    }
    return all;
  }
  // Whether the server has said that it is done, rather than let us wait.
  bool ReadEnd() {
    char c;
    const int n = SSL_read(ssl_, &c, 1);
    const int error = SSL_get_error(ssl_, n);
    return n <= 0 && error != SSL_ERROR_WANT_READ;
  }
  std::string ServerCertificate() {
    X509* certificate = SSL_get1_peer_certificate(ssl_);
    if (certificate == nullptr) return {};
    unsigned char* der = nullptr;
    const int size = i2d_X509(certificate, &der);
    std::string bytes(reinterpret_cast<char*>(der), static_cast<size_t>(size));
    OPENSSL_free(der);
    X509_free(certificate);
    return bytes;
  }

 private:
  const int fd_;
  bool connected_ = false;
  bool established_ = false;
  SSL_CTX* context_ = nullptr;
  SSL* ssl_ = nullptr;
};

}  // namespace strata::testing_support

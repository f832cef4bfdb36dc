// TLS over memory: records in, plaintext out, and back. Knows no socket, so that all records of a
// turn are one send.
#pragma once

#include <openssl/types.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace strata::net {

// The server's side of one connection. Belongs to one thread.
class TlsStream {
 public:
  enum class Result { kOk, kWantInput, kClosed, kFailed };

  // Records are appended to `out`, which outlives this and may be shared by all streams of a
  // thread.
  TlsStream(SSL_CTX& context, std::string& out);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  // What arrived. The following calls consume it; it must stay until they say kWantInput.
  void Feed(std::string_view records) { in_ = records; }

  Result Handshake();
  // Plaintext into `buffer`; `read` says how much.
  Result Read(std::span<char> buffer, size_t& read);
  // Encrypts; at most 16 KiB make one record.
  Result Write(std::string_view plaintext);
  // A record that says nothing. False where TLS has none that any peer takes, before 1.3: what ends
  // there ends both ways (RFC 5246 §7.2.1).
  bool Probe();
  // Says that no more will come from us.
  void CloseNotify();
  // Gives back what OpenSSL keeps for a connection that is in use, some 34 KiB; it takes it again.
  void FreeBuffers();

  // After kFailed: why. Once.
  std::string Error();
  // Whether the failure is that the client speaks HTTP without TLS.
  bool was_plain_http() const { return was_plain_http_; }

  // After the handshake.
  std::string Alpn() const;
  std::vector<std::string> PeerChain() const;

 private:
  struct Bio;

  Result Judge(int result);

  std::string& out_;
  std::string_view in_;
  std::string error_;
  bool was_plain_http_ = false;
  SSL* ssl_;
};

}  // namespace strata::net

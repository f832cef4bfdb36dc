// TLS over memory: records in, plaintext out, and back. Knows no socket, so that all records of a
// turn are one send.
#pragma once

#include <openssl/types.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace strata::net {

// What a client says first.
struct ClientHello {
  std::string server_name;  // empty: none
  std::string protocol;     // of ALPN (RFC 7301)
};

// One side of one connection. Belongs to one thread.
class TlsStream {
 public:
  enum class Result { kOk, kWantInput, kClosed, kFailed };

  // The server's side. Records are appended to `out`, which outlives this and may be shared by all
  // streams of a thread.
  TlsStream(SSL_CTX& context, std::string& out);
  // The client's.
  TlsStream(SSL_CTX& context, const ClientHello& hello, std::string& out);
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
  // The peer has changed its keys, and had us change ours, more often than any needs to (RFC 8446
  // §5.5: once in 2^24.5 records). Each time costs more than a record with data. The rest of what
  // was fed is dropped.
  bool flooded() const { return key_updates_ > kKeyUpdates + data_bytes_ / kBytesPerKeyUpdate; }
  uint64_t data_bytes() const { return data_bytes_; }  // that were read
  // Says that no more will come from us.
  void CloseNotify();
  // Gives back what OpenSSL keeps for a connection that is in use, some 34 KiB; it takes it again.
  void FreeBuffers();

  // After kFailed: why. Once.
  std::string Error();
  // OpenSSL's code of it, the first of several.
  unsigned long code() const { return code_; }  // NOLINT(google-runtime-int): OpenSSL's
  // Whether the failure is that the client speaks HTTP without TLS.
  bool was_plain_http() const { return was_plain_http_; }

  bool secured() const;  // the handshake is done
  // After it.
  std::string Alpn() const;
  std::vector<std::string> PeerChain() const;

 private:
  static constexpr uint64_t kKeyUpdates = 32, kBytesPerKeyUpdate = 1 << 20;
  struct Bio;

  void Attach();
  void CountKeyUpdates();
  Result Judge(int result);

  std::string& out_;
  std::string_view in_;
  std::string error_;
  unsigned long code_ = 0;  // NOLINT(google-runtime-int)
  bool was_plain_http_ = false;
  uint64_t key_updates_ = 0;  // of the peer's
  uint64_t data_bytes_ = 0;
  SSL* ssl_;
};

}  // namespace strata::net

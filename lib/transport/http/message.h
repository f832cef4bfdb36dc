// A request as it was received and the response to it, the same for HTTP/1.1 and HTTP/2. Values: no
// I/O, no parsing.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/transport/http/body.h"

namespace strata::http {

struct Header {
  std::string name;  // lower-case (RFC 9113 §8.2.1); HTTP/1.1 sends it as Go does, Audit-Id
  std::string value;
};

// Headers in the order received. A message has few: look-ups are linear.
class Headers {
 public:
  void Add(std::string name, std::string value) {
    headers_.push_back({std::move(name), std::move(value)});
  }
  void AddFirst(std::string name, std::string value) {
    headers_.insert(headers_.begin(), Header{std::move(name), std::move(value)});
  }
  // The first value of `name` (lower-case), or null.
  const std::string* Find(std::string_view name) const;
  std::vector<std::string_view> All(std::string_view name) const;
  // Removes every header called `name`, or with `prefix` at the start of its name.
  void Remove(std::string_view name);
  void RemovePrefix(std::string_view prefix);

  size_t size() const { return headers_.size(); }
  void Reserve(size_t count) { headers_.reserve(count); }
  auto begin() { return headers_.begin(); }
  auto end() { return headers_.end(); }
  auto begin() const { return headers_.begin(); }
  auto end() const { return headers_.end(); }

 private:
  std::vector<Header> headers_;
};

// The other end of the connection, shared by its requests.
struct Peer {
  // The address without its port: "192.0.2.1", "[2001:db8::1]".
  std::string_view host() const { return std::string_view(address).substr(0, address.rfind(':')); }

  std::string address;  // "192.0.2.1:5312", "[2001:db8::1]:5312"
  std::vector<std::string>
      certificate_chain;  // DER, leaf first, as presented and not verified; empty if none
  // Speaks for many: never refused for the room that others take, and none of those ends it.
  bool proxy = false;
};

enum class Version { kHttp10, kHttp11, kHttp2 };

// As it is at the end of its headers. No verb that we serve reads a body, so none is ever asked for
// or kept: the sessions drop what comes of it.
struct Request {
  std::string method;     // as sent: methods are case-sensitive
  std::string target;     // path and query, as sent: "/apis?x=y"; "*" for OPTIONS *
  std::string authority;  // :authority or Host
  Version version = Version::kHttp11;
  Headers
      headers;  // without pseudo-headers, Host, and those that frame a message or concern one hop
  std::shared_ptr<const Peer> peer;
};

struct Response {
  int status = 200;
  // Without content-length, transfer-encoding, date and connection: the session adds them.
  Headers headers;
  // Null: no body. Shared, since an answer goes out many times; it is never copied on the way to
  // TLS.
  std::shared_ptr<const std::string> body;
  // Instead of `body`, where it isn't whole when the answer begins.
  std::unique_ptr<Body> flow;
  // HTTP/1.1: `Connection: close`. HTTP/2: GOAWAY once this stream is done, or where its body flows
  // at once; streams in flight are finished.
  bool close_connection = false;
};

}  // namespace strata::http

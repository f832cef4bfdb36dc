#include "storage/client/address.h"

#include <absl/strings/numbers.h>
#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "lib/base/bytes.h"

namespace strata::client {

base::StatusOr<net::Address> ParseAddress(const std::string& url) {
  const auto wrong = [&] {
    return base::InvalidArgumentError(
        fmt::format("--etcd-servers: \"{}\" isn't a URL like https://HOST:2379 or unix:///PATH",
                    base::Printable(url, 200)));
  };
  const size_t colon = url.find("://");
  if (colon == std::string::npos) return wrong();
  const std::string scheme = url.substr(0, colon);
  std::string rest = url.substr(colon + 3);
  net::Address address;
  if (scheme == "unix" || scheme == "unixs") {
    address.tls = scheme == "unixs";
    address.unix_socket = true;
    address.host = std::move(rest);
    address.authority = "localhost";
    if (address.host.empty()) return wrong();
    if (address.host.size() > net::kMaxSocketPath) {
      return base::InvalidArgumentError(
          fmt::format("--etcd-servers: \"{}\": a socket's path has at most {} bytes",
                      base::Printable(url, 200), net::kMaxSocketPath));
    }
    return address;
  }
  if (scheme != "http" && scheme != "https") return wrong();
  address.tls = scheme == "https";
  rest.resize(std::min(rest.find_first_of("/?#"), rest.size()));
  if (rest.empty() || rest.find('@') != std::string::npos) return wrong();
  address.authority = rest;
  std::string_view host = rest;
  std::string_view port;
  if (const size_t end = host.find(']'); host.starts_with('[')) {
    if (end == std::string_view::npos) return wrong();
    port = host.substr(end + 1);
    if (!port.empty() && !port.starts_with(':')) return wrong();
    host = host.substr(1, end - 1);
  } else if (const size_t at = host.find(':'); at != std::string_view::npos) {
    port = host.substr(at);
    host = host.substr(0, at);
  }
  int number = address.tls ? 443 : 80;
  if (!port.empty() &&
      (!absl::SimpleAtoi(std::string(port.substr(1)), &number) || number < 1 || number > 65535)) {
    return wrong();
  }
  if (host.empty()) return wrong();
  address.host = host;
  address.port = std::to_string(number);
  return address;
}

}  // namespace strata::client

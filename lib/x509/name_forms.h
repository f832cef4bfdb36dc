// The forms that alternative names and their constraints have: domains, mailboxes, URIs, IP
// addresses. As lenient, and as strict, as Go is.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace strata::x509 {

bool IsAscii(std::string_view text);

// Sixteen bytes; an IPv4 address is mapped into IPv6. No zones, no zeros before a number.
std::optional<std::string> ParseIp(std::string_view text);

// crypto/x509 parser.go domainNameValid. A constraint may begin with a dot.
bool IsDomain(std::string_view text, bool constraint);

// The host of a URI, with its port; empty: it has none. Nothing: not a URI that Go's url.Parse
// takes.
std::optional<std::string> UriHost(std::string_view uri);

// crypto/x509 verify.go parseRFC2821Mailbox.
struct Mailbox {
  std::string local, domain;
  static std::optional<Mailbox> Parse(std::string_view text);
};

}  // namespace strata::x509

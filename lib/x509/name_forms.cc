#include "lib/x509/name_forms.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstdint>

#include "lib/base/ascii.h"

namespace strata::x509 {
namespace {

bool IsAlphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool IsOneOf(char c, std::string_view set) {
  return set.find(c) != std::string_view::npos;
}

int FromHex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// net/url's encoding modes, as far as they differ in what is refused.
enum class Part : uint8_t { kHost, kZone, kOther };

bool MayBeInHost(char c) {
  return IsAlphanumeric(c) || IsOneOf(c, "-_.~!$&'()*+,;=:[]<>\"");
}

// net/url unescape.
std::optional<std::string> Unescape(std::string_view text, Part part) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c != '%') {
      if (part != Part::kOther && static_cast<uint8_t>(c) < 0x80 && !MayBeInHost(c))
        return std::nullopt;
      out += c;
      continue;
    }
    const int high = i + 1 < text.size() ? FromHex(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? FromHex(text[i + 2]) : -1;
    if (high < 0 || low < 0) return std::nullopt;
    const char value = static_cast<char>(high << 4 | low);
    const bool percent = text.substr(i, 3) == "%25";
    if (part == Part::kHost && high < 8 && !percent) return std::nullopt;
    if (part == Part::kZone && !percent && value != ' ' && !MayBeInHost(value)) return std::nullopt;
    out += value;
    i += 2;
  }
  return out;
}

bool IsOptionalPort(std::string_view text) {
  if (text.empty()) return true;
  return text[0] == ':' &&
         std::all_of(text.begin() + 1, text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// "[fe80::1%25en0]:80"
std::optional<std::string> BracketedHost(std::string_view host) {
  const size_t close = host.rfind(']');
  if (close == std::string_view::npos || !IsOptionalPort(host.substr(close + 1)))
    return std::nullopt;
  const std::string_view name = host.substr(1, close - 1);
  const size_t zone_at = std::min(name.find("%25"), name.size());
  const auto address = Unescape(name.substr(0, zone_at), Part::kHost);
  const auto zone = Unescape(name.substr(zone_at), Part::kZone);
  // netip.ParseAddr: a zone has a name, and an IPv4 address has no brackets.
  if (!address || !zone || zone->size() == 1 || address->find(':') == std::string::npos ||
      !ParseIp(*address)) {
    return std::nullopt;
  }
  return "[" + *address + *zone + "]" + std::string(host.substr(close + 1));
}

// net/url parseHost.
std::optional<std::string> HostOf(std::string_view host) {
  const size_t bracket = host.rfind('[');
  if (bracket == 0) return BracketedHost(host);
  if (bracket != std::string_view::npos) return std::nullopt;
  const size_t colon = host.rfind(':');  // urlstrictcolons=0, as of Go before 1.26
  if (colon != std::string_view::npos && !IsOptionalPort(host.substr(colon))) return std::nullopt;
  return Unescape(host, Part::kHost);
}

// net/url parseAuthority.
std::optional<std::string> HostOfAuthority(std::string_view authority) {
  const size_t at = authority.rfind('@');
  if (at == std::string_view::npos) return HostOf(authority);
  const std::string_view user = authority.substr(0, at);
  const bool valid = std::all_of(user.begin(), user.end(), [](char c) {
    return IsAlphanumeric(c) || IsOneOf(c, "-._:~!$&'()*+,;=%@");
  });
  if (!valid || !Unescape(user, Part::kOther)) return std::nullopt;
  return HostOf(authority.substr(at + 1));
}

// Takes "https:" off the front. Nothing: it begins with a colon.
std::optional<std::string> TakeScheme(std::string_view& uri) {
  for (size_t i = 0; i < uri.size(); ++i) {
    const char c = uri[i];
    if (c == ':') {
      if (i == 0) return std::nullopt;
      std::string scheme = base::Lower(uri.substr(0, i));
      uri.remove_prefix(i + 1);
      return scheme;
    }
    const bool letter = IsAlphanumeric(c) && !(c >= '0' && c <= '9');
    if (!letter && (i == 0 || !(IsAlphanumeric(c) || IsOneOf(c, "+-.")))) break;
  }
  return std::string();
}

// The local part in quotes, behind the first; `rest` begins behind the last then.
std::optional<std::string> QuotedLocal(std::string_view& rest) {
  std::string local;
  while (!rest.empty()) {
    char c = rest[0];
    rest.remove_prefix(1);
    if (c == '"') return local;
    if (c == '\\') {
      if (rest.empty()) return std::nullopt;
      c = rest[0];
      rest.remove_prefix(1);
      if (c <= 0 || c == '\n' || c == '\r') return std::nullopt;
    } else if (c <= 0 || c == '\t' || c == '\n' || c == '\r') {
      return std::nullopt;
    }
    local += c;
  }
  return std::nullopt;
}

std::optional<std::string> PlainLocal(std::string_view& rest) {
  std::string local;
  while (!rest.empty()) {
    if (rest[0] == '\\') {
      rest.remove_prefix(1);
      if (rest.empty()) return std::nullopt;
    } else if (!IsAlphanumeric(rest[0]) && !IsOneOf(rest[0], "!#$%&'*+-/=?^_`{|}~.")) {
      break;
    }
    local += rest[0];
    rest.remove_prefix(1);
  }
  if (local.empty() || local.front() == '.' || local.back() == '.' ||
      local.find("..") != std::string::npos) {
    return std::nullopt;
  }
  return local;
}

// verify.go domainToReverseLabels.
bool HasOnlyLabels(std::string_view domain) {
  if (domain.empty()) return true;
  if (domain.front() == '.' || domain.back() == '.' || domain.find("..") != std::string_view::npos)
    return false;
  return std::all_of(domain.begin(), domain.end(), [](char c) { return c >= 33 && c <= 126; });
}

}  // namespace

bool IsAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0; });
}

std::optional<std::string> ParseIp(std::string_view text) {
  const std::string ended(text);
  if (ended.find('\0') != std::string::npos) return std::nullopt;
  in_addr four{};
  if (inet_pton(AF_INET, ended.c_str(), &four) == 1) {
    return std::string(10, '\0') + "\xff\xff" +
           std::string(reinterpret_cast<const char*>(&four), sizeof(four));
  }
  in6_addr six{};
  if (inet_pton(AF_INET6, ended.c_str(), &six) != 1) return std::nullopt;
  return std::string(reinterpret_cast<const char*>(&six), sizeof(six));
}

bool IsDomain(std::string_view text, bool constraint) {
  if (text.empty()) return true;
  if (text.back() == '.') return false;
  if (constraint && text[0] == '.') text.remove_prefix(1);
  return HasOnlyLabels(text);
}

std::optional<std::string> UriHost(std::string_view uri) {
  const size_t hash = std::min(uri.find('#'), uri.size());
  if (hash < uri.size() && !Unescape(uri.substr(hash + 1), Part::kOther)) return std::nullopt;
  std::string_view rest = uri.substr(0, hash);
  const bool control = std::any_of(
      rest.begin(), rest.end(), [](char c) { return static_cast<uint8_t>(c) < ' ' || c == 0x7f; });
  if (control) return std::nullopt;
  if (rest == "*") return std::string();
  const auto scheme = TakeScheme(rest);
  if (!scheme) return std::nullopt;
  rest = rest.substr(0, rest.find('?'));
  if (!rest.starts_with('/')) {
    if (!scheme->empty()) return std::string();
    if (rest.substr(0, rest.find('/')).find(':') != std::string_view::npos) return std::nullopt;
  }
  std::optional<std::string> host = std::string();
  if ((!scheme->empty() || !rest.starts_with("///")) && rest.starts_with("//")) {
    rest.remove_prefix(2);
    const size_t slash = std::min(rest.find('/'), rest.size());
    host = HostOfAuthority(rest.substr(0, slash));
    rest.remove_prefix(slash);
  }
  return Unescape(rest, Part::kOther) ? host : std::nullopt;
}

std::optional<Mailbox> Mailbox::Parse(std::string_view text) {
  const bool quoted = text.starts_with('"');
  if (quoted) text.remove_prefix(1);
  auto local = quoted ? QuotedLocal(text) : PlainLocal(text);
  if (!local || !text.starts_with('@') || !HasOnlyLabels(text.substr(1))) return std::nullopt;
  return Mailbox{*std::move(local), std::string(text.substr(1))};
}

}  // namespace strata::x509

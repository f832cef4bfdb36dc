#include "lib/x509/host_name.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "lib/base/ascii.h"
#include "lib/base/bytes.h"
#include "lib/x509/name_forms.h"

namespace strata::x509 {
namespace {

constexpr size_t kMaxNamesTold = 20, kMaxText = 500;

std::vector<std::string_view> Split(std::string_view name) {
  std::vector<std::string_view> labels;
  for (;;) {
    const size_t dot = name.find('.');
    labels.push_back(name.substr(0, dot));
    if (dot == std::string_view::npos) return labels;
    name.remove_prefix(dot + 1);
  }
}

std::string_view WithoutFinalDot(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  return name;
}

bool IsHostLabel(std::string_view label) {
  if (label.empty() || label[0] == '-') return false;
  return std::all_of(label.begin(), label.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
}

// verify.go validHostname.
bool IsHostName(std::string_view name, bool is_pattern) {
  if (!is_pattern) name = WithoutFinalDot(name);
  if (name == "*") return false;
  const auto labels = Split(name);
  for (size_t i = 0; i < labels.size(); ++i) {
    if (is_pattern && i == 0 && labels[i] == "*") continue;
    if (!IsHostLabel(labels[i])) return false;
  }
  return true;
}

// verify.go matchHostnames; both lower-case.
bool MatchesLabels(std::string_view pattern, std::string_view host) {
  const auto wanted = Split(pattern), labels = Split(WithoutFinalDot(host));
  if (pattern.empty() || wanted.size() != labels.size()) return false;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (!(i == 0 && wanted[i] == "*") && wanted[i] != labels[i]) return false;
  }
  return true;
}

bool MatchesName(std::string_view pattern, std::string_view host) {
  const std::string lower = base::Lower(pattern);
  if (IsHostName(host, /*is_pattern=*/false) && IsHostName(lower, /*is_pattern=*/true))
    return MatchesLabels(lower, host);
  return !lower.empty() && lower != "." && lower == host;
}

std::string Mapped(std::string_view ip) {
  return ip.size() == 4 ? std::string(10, '\0') + "\xff\xff" + std::string(ip) : std::string(ip);
}

std::string IpText(std::string_view ip) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(ip.size() == 4 ? AF_INET : AF_INET6, ip.data(), text.data(), text.size());
  return text.data();
}

base::Status Mismatch(const Certificate& certificate, std::string_view host) {
  std::string names;
  size_t told = 0;
  const auto tell = [&](std::string_view name) {
    if (++told <= kMaxNamesTold) names += fmt::format("{}{}", names.empty() ? "" : ", ", name);
  };
  for (const std::string_view dns : certificate.names.dns) tell(dns);
  for (const std::string_view ip : certificate.names.ips) tell(IpText(ip));
  if (told > kMaxNamesTold) names += fmt::format(" and {} more", told - kMaxNamesTold);
  if (told == 0)
    names = "no name (its common name doesn't count: it needs subject alternative names)";
  return base::PermissionDeniedError(fmt::format("{} is for {}, not for {}", certificate.Text(),
                                                 base::Printable(names, kMaxText), host));
}

}  // namespace

base::Status CheckHost(const Certificate& certificate, std::string_view host) {
  std::string_view address = host;
  if (host.size() >= 3 && host.front() == '[' && host.back() == ']')
    address = host.substr(1, host.size() - 2);
  const SubjectNames& names = certificate.names;
  if (const auto ip = ParseIp(address)) {
    const bool found = std::any_of(names.ips.begin(), names.ips.end(),
                                   [&](std::string_view one) { return Mapped(one) == *ip; });
    return found ? base::OkStatus() : Mismatch(certificate, address);
  }
  const std::string lower = base::Lower(host);
  const bool found = std::any_of(names.dns.begin(), names.dns.end(),
                                 [&](std::string_view one) { return MatchesName(one, lower); });
  return found ? base::OkStatus() : Mismatch(certificate, host);
}

}  // namespace strata::x509

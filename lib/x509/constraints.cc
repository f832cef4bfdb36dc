#include "lib/x509/constraints.h"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <vector>

#include "lib/base/ascii.h"
#include "lib/base/bytes.h"
#include "lib/x509/name_forms.h"

namespace strata::x509 {
namespace {

// Go's limit of 1.10 to 1.25, before its matching became logarithmic.
constexpr size_t kMaxComparisons = 250'000;
constexpr size_t kMaxText = 200;

// Of one certificate, in the form in which they are compared.
struct Names {
  std::vector<std::string> dns, uri_hosts;
  std::vector<Mailbox> emails;
  std::vector<std::string_view> ips;
};

base::Status Denied(std::string_view kind, std::string_view name, std::string_view why) {
  return base::PermissionDeniedError(
      fmt::format("{} {} {}", kind, base::Printable(name, kMaxText), why));
}

// constraints.go parseURIs: a URI that has no domain can't be judged.
base::StatusOr<std::string> UriDomain(std::string_view uri) {
  std::string host = base::Lower(UriHost(uri).value_or(""));
  if (host.empty()) return Denied("URI", uri, "without a host can't be matched with constraints");
  if (!host.ends_with(']')) host.resize(std::min(host.rfind(':'), host.size()));
  if (host.starts_with('[') || ParseIp(host))
    return Denied("URI", uri, "with an IP address can't be matched with constraints");
  if (host.find_first_of(":[]") != std::string::npos || !IsDomain(host, /*constraint=*/false))
    return Denied("URI", uri, "can't be parsed");
  return host;
}

base::StatusOr<Names> Parse(const Certificate& certificate) {
  Names names;
  for (const std::string_view uri : certificate.names.uris) {
    STRATA_ASSIGN_OR_RETURN(std::string host, UriDomain(uri));
    names.uri_hosts.push_back(std::move(host));
  }
  for (const std::string_view email : certificate.names.emails) {
    auto mailbox = Mailbox::Parse(email);
    if (!mailbox) return Denied("e-mail address", email, "can't be parsed");
    mailbox->domain = base::Lower(mailbox->domain);
    names.emails.push_back(*std::move(mailbox));
  }
  for (const std::string_view dns : certificate.names.dns) {
    if (!IsDomain(dns, /*constraint=*/false)) return Denied("DNS name", dns, "can't be parsed");
    names.dns.push_back(base::Lower(dns));
  }
  names.ips = certificate.names.ips;
  return names;
}

// Whether `name` is `constraint`, or is below it; ".example.com" isn't of itself. Both lower-case.
bool IsBelow(std::string_view name, std::string_view constraint) {
  if (constraint.empty()) return true;
  if (!name.ends_with(constraint)) return false;
  return constraint[0] == '.' || name.size() == constraint.size() ||
         name[name.size() - constraint.size() - 1] == '.';
}

std::string_view WithoutFirstLabel(std::string_view name) {
  const size_t dot = name.find('.');
  return dot == std::string_view::npos ? std::string_view() : name.substr(dot);
}

bool IsIn(const Network& network, std::string_view ip) {
  if (ip.size() != network.address.size()) return false;
  for (size_t i = 0; i < ip.size(); ++i) {
    if (((ip[i] ^ network.address[i]) & network.mask[i]) != 0) return false;
  }
  return true;
}

class Judge {
 public:
  // `names`, of a certificate that `issuer` is above of.
  base::Status Check(const Names& names, const Certificate& issuer) {
    const auto in_network = [](const Network& network, std::string_view ip) {
      return IsIn(network, ip);
    };
    for (const std::string_view ip : names.ips) {
      STRATA_RETURN_IF_ERROR(Compare("IP address", ip, IpText(ip), issuer, &NameSubtrees::networks,
                                     in_network, in_network));
    }
    const auto below = [](std::string_view constraint, std::string_view name) {
      return IsBelow(name, base::Lower(constraint));
    };
    // A wildcard stands for names that are excluded too.
    const auto below_or_wild = [&](std::string_view constraint, std::string_view name) {
      if (below(constraint, name)) return true;
      const std::string_view parent = WithoutFirstLabel(name);
      return name.starts_with('*') && !parent.empty() &&
             parent == WithoutFirstLabel(base::Lower(constraint));
    };
    for (const std::string_view dns : names.dns) {
      STRATA_RETURN_IF_ERROR(
          Compare("DNS name", dns, dns, issuer, &NameSubtrees::dns, below, below_or_wild));
    }
    for (const std::string_view host : names.uri_hosts) {
      STRATA_RETURN_IF_ERROR(Compare("URI of host", host, host, issuer, &NameSubtrees::uri_domains,
                                     below, below_or_wild));
    }
    const auto matches = [&](bool wild) {
      return [&, wild](std::string_view constraint, const Mailbox& mailbox) {
        if (constraint.find('@') == std::string_view::npos) {
          return wild ? below_or_wild(constraint, mailbox.domain)
                      : below(constraint, mailbox.domain);
        }
        const auto one = Mailbox::Parse(constraint);
        return one && one->local == mailbox.local && base::Lower(one->domain) == mailbox.domain;
      };
    };
    for (const Mailbox& mailbox : names.emails) {
      STRATA_RETURN_IF_ERROR(Compare("e-mail address", mailbox,
                                     mailbox.local + "@" + mailbox.domain, issuer,
                                     &NameSubtrees::emails, matches(false), matches(true)));
    }
    return base::OkStatus();
  }

 private:
  static std::string IpText(std::string_view ip) {
    std::string text;
    for (const char c : ip)
      text += fmt::format("{}{}", text.empty() ? "" : ".", static_cast<uint8_t>(c));
    return ip.size() == 4 ? text : base::ToHex(ip);
  }

  template <typename Name, typename Constraint, typename Permits, typename Excludes>
  base::Status Compare(std::string_view kind, const Name& name, std::string_view text,
                       const Certificate& issuer,
                       std::vector<Constraint> NameSubtrees::*constraints, const Permits& permits,
                       const Excludes& excludes) {
    const auto any = [&](const std::vector<Constraint>& list, const auto& matches) {
      for (const Constraint& constraint : list) {
        ++comparisons_;
        if (matches(constraint, name)) return true;
      }
      return false;
    };
    const auto& permitted = issuer.permitted.*constraints;
    const auto& excluded = issuer.excluded.*constraints;
    if (comparisons_ + permitted.size() + excluded.size() > kMaxComparisons)
      return base::PermissionDeniedError("there are too many name constraints");
    const std::string by = fmt::format("by the name constraints of {}", issuer.Text());
    if (!permitted.empty() && !any(permitted, permits))
      return Denied(kind, text, "is not permitted " + by);
    if (any(excluded, excludes)) return Denied(kind, text, "is excluded " + by);
    return base::OkStatus();
  }

  size_t comparisons_ = 0;
};

}  // namespace

base::Status CheckConstraints(std::span<const Certificate* const> chain) {
  Judge judge;
  for (size_t i = 0; i < chain.size(); ++i) {
    if (!chain[i]->has_names) continue;
    std::optional<Names> names;
    for (const Certificate* issuer : chain.subspan(i + 1)) {
      if (!issuer->has_constraints) continue;
      if (!names) {
        STRATA_ASSIGN_OR_RETURN(names, Parse(*chain[i]));
      }
      STRATA_RETURN_IF_ERROR(judge.Check(*names, *issuer));
    }
  }
  return base::OkStatus();
}

}  // namespace strata::x509

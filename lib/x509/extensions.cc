#include "lib/x509/extensions.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/x509/der.h"
#include "lib/x509/name_forms.h"

namespace strata::x509 {
namespace {

using std::string_view_literals::operator""sv;

constexpr auto kAuthorityInfoAccess = "\x2b\x06\x01\x05\x05\x07\x01\x01"sv;
constexpr auto kAnyUsage = "\x55\x1d\x25\x00"sv;
constexpr auto kServerAuth = "\x2b\x06\x01\x05\x05\x07\x03\x01"sv;
constexpr auto kClientAuth = "\x2b\x06\x01\x05\x05\x07\x03\x02"sv;
constexpr size_t kCertSignBit = 5, kUsageBits = 9;

struct Extension {
  std::string_view oid, value;
  bool critical = false;
};

base::Status Invalid(std::string_view what) {
  return base::InvalidArgumentError(fmt::format("invalid {}", what));
}

std::string OidText(std::string_view oid) {
  std::string text;
  uint64_t value = 0;
  for (const char c : oid) {
    value = value << 7 | (static_cast<uint8_t>(c) & 0x7f);
    if (static_cast<uint8_t>(c) >= 0x80) continue;
    if (text.empty()) {
      const uint64_t first = std::min<uint64_t>(value / 40, 2);
      text = fmt::format("{}.{}", first, value - first * 40);
    } else {
      text += fmt::format(".{}", value);
    }
    value = 0;
  }
  return text;
}

base::StatusOr<Extension> ReadExtension(std::string_view contents) {
  Der der(contents);
  Extension extension;
  const auto oid = der.ReadOid();
  if (!oid) return Invalid("extension");
  extension.oid = *oid;
  if (der.NextIs(tag::kBoolean)) {
    const auto critical = der.ReadBoolean();
    if (!critical) return Invalid("extension");
    extension.critical = *critical;
  }
  const auto value = der.Read(tag::kOctetString);
  if (!value) return Invalid("extension");
  extension.value = *value;
  return extension;
}

base::Status ReadKeyUsage(std::string_view value, Certificate& certificate) {
  const auto bits = Der(value).ReadBits();
  if (!bits) return Invalid("key usage");
  bool any = false;
  for (size_t i = 0; i < kUsageBits; ++i) any = any || bits->At(i);
  certificate.may_sign = !any || bits->At(kCertSignBit);
  return base::OkStatus();
}

base::Status ReadBasicConstraints(std::string_view value, Certificate& certificate) {
  const auto contents = Der(value).Read(tag::kSequence);
  if (!contents) return Invalid("basic constraints");
  Der der(*contents);
  if (der.NextIs(tag::kBoolean)) {
    const auto is_ca = der.ReadBoolean();
    if (!is_ca) return Invalid("basic constraints");
    certificate.is_ca = *is_ca;
  }
  if (der.NextIs(tag::kInteger)) {
    const auto max = der.ReadInt64();
    if (!max || *max < 0) return Invalid("basic constraints");
    certificate.max_path = *max;
  }
  certificate.has_basic_constraints = true;
  return base::OkStatus();
}

// Whether any name of a known kind is among them.
base::StatusOr<bool> ReadNames(std::string_view value, Certificate& certificate) {
  certificate.has_names = true;
  certificate.raw_names = value;
  const auto contents = Der(value).Read(tag::kSequence);
  if (!contents) return Invalid("subject alternative names");
  SubjectNames& names = certificate.names;
  for (Der der(*contents); !der.empty();) {
    const auto name = der.ReadAny();
    if (!name) return Invalid("subject alternative names");
    switch (name->tag) {
      case tag::Context(1):
        if (!IsAscii(name->contents)) return Invalid("e-mail address of the subject");
        names.emails.push_back(name->contents);
        break;
      case tag::Context(2):
        if (!IsAscii(name->contents)) return Invalid("DNS name of the subject");
        names.dns.push_back(name->contents);
        break;
      case tag::Context(6): {
        const auto host = IsAscii(name->contents) ? UriHost(name->contents) : std::nullopt;
        if (!host || (!host->empty() && !IsDomain(*host, /*constraint=*/false)))
          return Invalid("URI of the subject");
        names.uris.push_back(name->contents);
        break;
      }
      case tag::Context(7):
        if (name->contents.size() != 4 && name->contents.size() != 16)
          return Invalid("IP address of the subject");
        names.ips.push_back(name->contents);
        break;
      default:
        break;
    }
  }
  return !(names.dns.empty() && names.emails.empty() && names.ips.empty() && names.uris.empty());
}

bool IsMask(std::string_view mask) {
  bool ended = false;
  for (const char c : mask) {
    const unsigned inverse = static_cast<uint8_t>(~static_cast<uint8_t>(c));
    if ((inverse & (inverse + 1)) != 0 || (ended && inverse != 0xff)) return false;
    ended = ended || inverse != 0;
  }
  return true;
}

base::Status ReadSubtree(const Der::Element& base, NameSubtrees& subtrees, bool& understood) {
  const std::string_view value = base.contents;
  switch (base.tag) {
    case tag::Context(1): {
      const bool mailbox = value.find('@') != std::string_view::npos;
      const bool valid = IsAscii(value) && (mailbox ? Mailbox::Parse(value).has_value()
                                                    : IsDomain(value, /*constraint=*/true));
      if (!valid) return Invalid("e-mail name constraint");
      subtrees.emails.push_back(value);
      break;
    }
    case tag::Context(2):
      if (!IsAscii(value) || !IsDomain(value, /*constraint=*/true))
        return Invalid("DNS name constraint");
      subtrees.dns.push_back(value);
      break;
    case tag::Context(6):
      if (!IsAscii(value) || ParseIp(value) || !IsDomain(value, /*constraint=*/true))
        return Invalid("URI name constraint");
      subtrees.uri_domains.push_back(value);
      break;
    case tag::Context(7): {
      const size_t half = value.size() / 2;
      if ((value.size() != 8 && value.size() != 32) || !IsMask(value.substr(half)))
        return Invalid("IP name constraint");
      subtrees.networks.push_back({value.substr(0, half), value.substr(half)});
      break;
    }
    default:
      understood = false;
  }
  return base::OkStatus();
}

base::Status ReadSubtrees(std::string_view contents, NameSubtrees& subtrees, bool& understood) {
  for (Der der(contents); !der.empty();) {
    const auto subtree = der.Read(tag::kSequence);
    const auto base = subtree ? Der(*subtree).ReadAny() : std::nullopt;
    if (!base) return Invalid("name constraints");
    STRATA_RETURN_IF_ERROR(ReadSubtree(*base, subtrees, understood));
  }
  return base::OkStatus();
}

base::StatusOr<bool> ReadNameConstraints(std::string_view value, Certificate& certificate) {
  certificate.has_constraints = true;
  Der outer(value);
  const auto contents = outer.Read(tag::kSequence);
  if (!contents || !outer.empty()) return Invalid("name constraints");
  Der der(*contents);
  std::string_view permitted, excluded;
  for (auto [number, part] : {std::pair(0, &permitted), std::pair(1, &excluded)}) {
    if (!der.NextIs(tag::Constructed(number))) continue;
    const auto subtrees = der.Read(tag::Constructed(number));
    if (!subtrees) return Invalid("name constraints");
    *part = *subtrees;
  }
  if (!der.empty() || (permitted.empty() && excluded.empty())) return Invalid("name constraints");
  bool understood = true;
  STRATA_RETURN_IF_ERROR(ReadSubtrees(permitted, certificate.permitted, understood));
  STRATA_RETURN_IF_ERROR(ReadSubtrees(excluded, certificate.excluded, understood));
  return understood;
}

base::Status ReadUsages(std::string_view value, Certificate& certificate) {
  const auto contents = Der(value).Read(tag::kSequence);
  if (!contents) return Invalid("extended key usage");
  for (Der der(*contents); !der.empty();) {
    const auto usage = der.ReadOid();
    if (!usage) return Invalid("extended key usage");
    certificate.has_usages = true;
    if (*usage == kAnyUsage) certificate.any_usage = true;
    if (*usage == kServerAuth) certificate.server_usage = true;
    if (*usage == kClientAuth) certificate.client_usage = true;
  }
  return base::OkStatus();
}

// oid.go newOIDFromDER: numbers of any size, in as few bytes as they need.
bool IsPolicyOid(std::string_view oid) {
  if (oid.empty() || static_cast<uint8_t>(oid.back()) >= 0x80) return false;
  bool starts = true;
  for (const char c : oid) {
    if (starts && c == '\x80') return false;
    starts = static_cast<uint8_t>(c) < 0x80;
  }
  return true;
}

base::Status ReadPolicies(std::string_view value, Policies& policies) {
  const auto contents = Der(value).Read(tag::kSequence);
  if (!contents) return Invalid("certificate policies");
  for (Der der(*contents); !der.empty();) {
    const auto policy = der.Read(tag::kSequence);
    const auto oid = policy ? Der(*policy).Read(tag::kOid) : std::nullopt;
    if (!oid || !IsPolicyOid(*oid)) return Invalid("certificate policies");
    policies.policies.push_back(*oid);
  }
  auto sorted = policies.policies;
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
    return Invalid("certificate policies");
  return base::OkStatus();
}

base::Status ReadPolicyMappings(std::string_view value, Policies& policies) {
  const auto contents = Der(value).Read(tag::kSequence);
  if (!contents) return Invalid("policy mappings");
  for (Der der(*contents); !der.empty();) {
    const auto mapping = der.Read(tag::kSequence);
    if (!mapping) return Invalid("policy mappings");
    Der pair(*mapping);
    const auto issuer = pair.Read(tag::kOid);
    const auto subject = issuer ? pair.Read(tag::kOid) : std::nullopt;
    if (!subject) return Invalid("policy mappings");
    policies.mappings.push_back({*issuer, *subject});
  }
  return base::OkStatus();
}

base::Status ReadPolicyConstraints(std::string_view value, Policies& policies) {
  const auto contents = Der(value).Read(tag::kSequence);
  if (!contents) return Invalid("policy constraints");
  Der der(*contents);
  for (auto [number, field] :
       {std::pair(0, &policies.require_explicit), std::pair(1, &policies.inhibit_mapping)}) {
    if (!der.NextIs(tag::Context(number))) continue;
    const auto skip = der.ReadInt64(tag::Context(number));
    if (!skip) return Invalid("policy constraints");
    *field = *skip;
  }
  return base::OkStatus();
}

base::Status ReadAuthorityKeyId(const Extension& extension, Certificate& certificate) {
  const auto contents = Der(extension.value).Read(tag::kSequence);
  if (extension.critical || !contents) return Invalid("authority key identifier");
  Der der(*contents);
  if (!der.NextIs(tag::Context(0))) return base::OkStatus();
  const auto id = der.Read(tag::Context(0));
  if (!id) return Invalid("authority key identifier");
  certificate.authority_key_id = *id;
  return base::OkStatus();
}

base::Status ReadSubjectKeyId(const Extension& extension, Certificate& certificate) {
  const auto id = Der(extension.value).Read(tag::kOctetString);
  if (extension.critical || !id) return Invalid("subject key identifier");
  certificate.subject_key_id = *id;
  return base::OkStatus();
}

// Nobody looks for lists of revoked certificates, but what can't be read refuses the certificate.
base::Status ReadDistributionPoints(std::string_view value) {
  const auto contents = Der(value).Read(tag::kSequence);
  if (!contents) return Invalid("CRL distribution points");
  for (Der der(*contents); !der.empty();) {
    const auto point = der.Read(tag::kSequence);
    if (!point) return Invalid("CRL distribution points");
    Der fields(*point);
    if (!fields.NextIs(tag::Constructed(0))) continue;
    const auto wrapped = fields.Read(tag::Constructed(0));
    const auto name = wrapped ? Der(*wrapped).Read(tag::Constructed(0)) : std::nullopt;
    if (!name) return Invalid("CRL distribution points");
    for (Der uris(*name); uris.NextIs(tag::Context(6));) {
      if (!uris.Read(tag::Context(6))) return Invalid("CRL distribution points");
    }
  }
  return base::OkStatus();
}

base::Status ReadAuthorityInfoAccess(const Extension& extension) {
  const auto contents = Der(extension.value).Read(tag::kSequence);
  if (extension.critical || !contents) return Invalid("authority information access");
  for (Der der(*contents); !der.empty();) {
    const auto access = der.Read(tag::kSequence);
    if (!access) return Invalid("authority information access");
    Der fields(*access);
    if (!fields.ReadOid() || (fields.NextIs(tag::Context(6)) && !fields.Read(tag::Context(6))))
      return Invalid("authority information access");
  }
  return base::OkStatus();
}

// Whether it is understood: of those that are critical, all have to be.
base::StatusOr<bool> Process(const Extension& extension, Certificate& certificate) {
  const auto understood = [](const base::Status& status) -> base::StatusOr<bool> {
    if (!status.ok()) return status;
    return true;
  };
  if (extension.oid == kAuthorityInfoAccess) return understood(ReadAuthorityInfoAccess(extension));
  if (extension.oid.size() != 3 || !extension.oid.starts_with("\x55\x1d")) return false;
  switch (extension.oid[2]) {
    case 14:
      return understood(ReadSubjectKeyId(extension, certificate));
    case 15:
      return understood(ReadKeyUsage(extension.value, certificate));
    case 17:
      return ReadNames(extension.value, certificate);
    case 19:
      return understood(ReadBasicConstraints(extension.value, certificate));
    case 30:
      return ReadNameConstraints(extension.value, certificate);
    case 31:
      return understood(ReadDistributionPoints(extension.value));
    case 32:
      return understood(ReadPolicies(extension.value, certificate.policies));
    case 33:
      return understood(ReadPolicyMappings(extension.value, certificate.policies));
    case 35:
      return understood(ReadAuthorityKeyId(extension, certificate));
    case 36:
      return understood(ReadPolicyConstraints(extension.value, certificate.policies));
    case 37:
      return understood(ReadUsages(extension.value, certificate));
    case 54: {
      const auto skip = Der(extension.value).ReadInt64();
      if (!skip) return Invalid("inhibitAnyPolicy");
      certificate.policies.inhibit_any = *skip;
      return true;
    }
    default:
      return false;
  }
}

}  // namespace

base::Status ReadExtensions(std::string_view der, Certificate& certificate) {
  const auto contents = Der(der).Read(tag::kSequence);
  if (!contents) return Invalid("extensions");
  std::vector<Extension> extensions;
  std::unordered_set<std::string_view> seen;
  for (Der list(*contents); !list.empty();) {
    const auto whole = list.Read(tag::kSequence);
    if (!whole) return Invalid("extensions");
    STRATA_ASSIGN_OR_RETURN(const Extension extension, ReadExtension(*whole));
    if (!seen.insert(extension.oid).second) {
      return base::InvalidArgumentError(
          fmt::format("it has the extension {} twice", OidText(extension.oid)));
    }
    extensions.push_back(extension);
  }
  for (const Extension& extension : extensions) {
    STRATA_ASSIGN_OR_RETURN(const bool understood, Process(extension, certificate));
    if (!understood && extension.critical && certificate.unhandled.empty())
      certificate.unhandled = OidText(extension.oid);
  }
  return base::OkStatus();
}

}  // namespace strata::x509

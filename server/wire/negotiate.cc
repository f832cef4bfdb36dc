#include "server/wire/negotiate.h"

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include "lib/base/ascii.h"

namespace strata::wire {
namespace {

using base::TakeUntil;
using base::Trim;

struct Served {
  MediaType media;
  std::string_view type, subtype, whole;
};

constexpr Served kServed[] = {
    {MediaType::kJson, "application", "json", "application/json"},
    {MediaType::kYaml, "application", "yaml", "application/yaml"},
    {MediaType::kProtobuf, "application", "vnd.kubernetes.protobuf",
     "application/vnd.kubernetes.protobuf"},
};

constexpr size_t kMaxClauses = 100;  // more than any client sends; the rest is ignored

struct Clause {
  std::string_view type, subtype;
  std::string_view params;  // " q=0.5; as=Table"
  float q = 1;
};

// Of a repeated name the last counts, as in the map that goautoneg makes: visitors overwrite what
// they kept.
template <typename Visit>
void ForEachParam(std::string_view params, const Visit& visit) {
  while (!params.empty()) {
    std::string_view param = TakeUntil(';', params);
    const std::string_view name = TakeUntil('=', param);
    if (param.empty() || param.find('=') != std::string_view::npos) continue;
    visit(Trim(name), param);
  }
}

// strconv.ParseFloat with its error ignored: what isn't a number is 0.
float ParseQuality(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  float q = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), q);
  return error == std::errc() && end == text.data() + text.size() ? q : 0;
}

// goautoneg's acceptSlice.Less, which isn't an order: a wildcard comes after a clause of lower
// quality too, if that is the one that the sort looks at.
bool Less(const Clause& a, const Clause& b) {
  return a.q > b.q || (a.type != "*" && b.type == "*") || (a.subtype != "*" && b.subtype == "*");
}

// goautoneg.ParseAccept. The insertion sort is the one that Go's sort.Sort does on up to 12
// elements, and so the result is the same for all that clients send in earnest.
std::vector<Clause> ParseAccept(std::string_view accept) {
  std::vector<Clause> clauses;
  while (!accept.empty() && clauses.size() < kMaxClauses) {
    std::string_view params = Trim(TakeUntil(',', accept));
    std::string_view range = TakeUntil(';', params);
    Clause clause;
    clause.type = Trim(TakeUntil('/', range));
    if (range.empty() && clause.type == "*") range = "*";
    if (range.empty() || range.find('/') != std::string_view::npos) continue;
    clause.subtype = Trim(range);
    clause.params = params;
    ForEachParam(params, [&](std::string_view name, std::string_view value) {
      if (name == "q") clause.q = ParseQuality(value);
    });
    clauses.push_back(clause);
  }
  for (size_t i = 1; i < clauses.size(); ++i) {
    for (size_t j = i; j > 0 && Less(clauses[j], clauses[j - 1]); --j)
      std::swap(clauses[j], clauses[j - 1]);
  }
  return clauses;
}

bool Matches(const Clause& clause, const Served& served) {
  if (clause.type == "*") return clause.subtype == "*";
  return clause.type == served.type && (clause.subtype == served.subtype || clause.subtype == "*");
}

// What negotiate.go calls EndpointRestrictions.
struct Endpoint {
  std::span<const Conversion> conversions;
  std::string_view server_version;  // the one that `sv=` may name; empty: none
};

// acceptMediaTypeOptions: whether the clause's parameters can be honoured, and what they ask for.
std::optional<Representation> Accept(const Clause& clause, const Served& served,
                                     const Endpoint& endpoint) {
  Representation wanted;
  wanted.type = served.media;
  std::optional<std::string_view> as, group, version;
  std::string_view stream, server_version;
  ForEachParam(clause.params, [&](std::string_view name, std::string_view value) {
    value = Trim(value);
    if (name == "as") as = value;
    if (name == "g") group = value;
    if (name == "v") version = value;
    if (name == "stream") stream = value;
    if (name == "sv") server_version = value;
    if (name == "pretty") wanted.pretty = value == "1";
  });
  if (!stream.empty() && stream != "watch") return std::nullopt;
  if (!server_version.empty() && server_version != endpoint.server_version) return std::nullopt;
  if (!as && !group && !version) return wanted;
  for (const Conversion& offered : endpoint.conversions) {
    if (as.value_or("") != offered.kind || group.value_or("") != offered.group ||
        version.value_or("") != offered.version) {
      continue;
    }
    if (offered.text_only && served.media == MediaType::kProtobuf) continue;
    wanted.transform = offered.transform;
    wanted.beta = offered.version.ends_with("beta1");
    return wanted;
  }
  return std::nullopt;
}

// isPrettyPrint.
bool IsPretty(const Preference& preference) {
  if (preference.pretty && !preference.pretty->empty()) {
    constexpr std::string_view kTrue[] = {"1", "t", "T", "true", "TRUE", "True"};
    return std::find(std::begin(kTrue), std::end(kTrue), *preference.pretty) != std::end(kTrue);
  }
  constexpr std::string_view kPeople[] = {"curl", "Wget", "Mozilla/5.0"};
  return std::any_of(std::begin(kPeople), std::end(kPeople), [&](std::string_view prefix) {
    return preference.user_agent.starts_with(prefix);
  });
}

std::optional<Representation> NegotiateClauses(const Preference& preference,
                                               const Endpoint& endpoint) {
  std::optional<Representation> chosen;
  // What nearly every client sends, without building a list.
  if (preference.accept.empty() || preference.accept == kServed[0].whole) {
    chosen = Representation{};
  } else if (preference.accept == kServed[2].whole) {
    chosen = Representation{.type = MediaType::kProtobuf};
  } else {
    for (const Clause& clause : ParseAccept(preference.accept)) {
      for (const Served& served : kServed) {
        if (!chosen && Matches(clause, served)) chosen = Accept(clause, served, endpoint);
      }
      if (chosen) break;
    }
  }
  if (!chosen) return std::nullopt;
  chosen->pretty = chosen->type == MediaType::kJson && (chosen->pretty || IsPretty(preference));
  return chosen;
}

// go-restful's matchesAccept, which runs first: media types compare as they are written, and only
// */* is a wildcard.
bool NamesAServedType(std::string_view accept) {
  if (accept.empty()) return true;
  while (!accept.empty()) {
    std::string_view part = TakeUntil(',', accept);
    const std::string_view range = Trim(TakeUntil(';', part));
    if (range == "*/*") return true;
    for (const Served& served : kServed) {
      if (range == served.whole) return true;
    }
  }
  return false;
}

}  // namespace

// Table first, so that what can be reduced to metadata alone offers the rest.
std::span<const Conversion> TableConversions() {
  static constexpr Conversion kOffered[] = {
      {"Table", "meta.k8s.io", "v1", Transform::kTable, true},
      {"Table", "meta.k8s.io", "v1beta1", Transform::kTable, true},
      {"PartialObjectMetadata", "meta.k8s.io", "v1", Transform::kPartialObjectMetadata},
      {"PartialObjectMetadata", "meta.k8s.io", "v1beta1", Transform::kPartialObjectMetadata},
      {"PartialObjectMetadataList", "meta.k8s.io", "v1", Transform::kPartialObjectMetadataList},
      {"PartialObjectMetadataList", "meta.k8s.io", "v1beta1",
       Transform::kPartialObjectMetadataList},
  };
  return kOffered;
}

std::span<const Conversion> MetadataConversions() {
  return TableConversions().subspan(2);
}

Negotiation Negotiate(const Preference& preference, std::span<const Conversion> offered) {
  if (!NamesAServedType(preference.accept)) return {Refusal::kMediaType, {}};
  const auto chosen = NegotiateClauses(preference, {offered, "v1"});
  if (!chosen) return {Refusal::kConversion, {}};
  return {Refusal::kNone, *chosen};
}

std::optional<Representation> NegotiatePlain(const Preference& preference) {
  return NegotiateClauses(preference, {});
}

std::optional<Representation> NegotiateGroups(const Preference& preference) {
  static constexpr Conversion kOffered[] = {
      {"APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2", Transform::kGroupDiscovery},
      {"APIGroupDiscoveryList", "apidiscovery.k8s.io", "v2beta1", Transform::kGroupDiscovery},
  };
  return NegotiateClauses(preference, {kOffered, ""});
}

std::string_view ContentType(MediaType type) {
  return kServed[static_cast<size_t>(type)].whole;
}

}  // namespace strata::wire

#include "server/wire/negotiate.h"

#include <algorithm>
#include <charconv>
#include <vector>

namespace strata::wire {
namespace {

struct Served {
  MediaType media;
  std::string_view type, subtype, whole;
};

constexpr Served kServed[] = {
    {MediaType::kJson, "application", "json", "application/json"},
    {MediaType::kYaml, "application", "yaml", "application/yaml"},
    {MediaType::kProtobuf, "application", "vnd.kubernetes.protobuf", "application/vnd.kubernetes.protobuf"},
};

constexpr size_t kMaxClauses = 100;  // more than any client sends; the rest is ignored

std::string_view Trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// Takes what stands before `separator` from `rest`, or all of it.
std::string_view Next(std::string_view& rest, char separator) {
  const size_t at = rest.find(separator);
  const std::string_view part = rest.substr(0, at);
  rest = at == std::string_view::npos ? std::string_view() : rest.substr(at + 1);
  return part;
}

struct Clause {
  std::string_view type, subtype;
  std::string_view params;  // "; q=0.5; as=Table"
  double q = 1;
};

template <typename Visit>
void ForEachParam(std::string_view params, const Visit& visit) {
  while (!params.empty()) {
    std::string_view param = Next(params, ';');
    if (param.find('=') == std::string_view::npos) continue;
    const std::string_view name = Trim(Next(param, '='));
    visit(name, Trim(param));
  }
}

// goautoneg.ParseAccept. The sort is stable, where Go's isn't: ties keep the client's order.
std::vector<Clause> ParseAccept(std::string_view accept) {
  std::vector<Clause> clauses;
  while (!accept.empty() && clauses.size() < kMaxClauses) {
    std::string_view params = Trim(Next(accept, ','));
    std::string_view range = Next(params, ';');
    Clause clause;
    clause.type = Trim(Next(range, '/'));
    clause.subtype = Trim(range);
    if (clause.subtype.empty() && clause.type == "*") clause.subtype = "*";
    if (clause.subtype.empty() || clause.subtype.find('/') != std::string_view::npos) continue;
    clause.params = params;
    ForEachParam(params, [&](std::string_view name, std::string_view value) {
      if (name == "q") std::from_chars(value.data(), value.data() + value.size(), clause.q);
    });
    clauses.push_back(clause);
  }
  std::stable_sort(clauses.begin(), clauses.end(), [](const Clause& a, const Clause& b) {
    if (a.q != b.q) return a.q > b.q;
    if ((a.type == "*") != (b.type == "*")) return b.type == "*";
    return a.subtype != "*" && b.subtype == "*";
  });
  return clauses;
}

bool Matches(const Clause& clause, const Served& served) {
  if (clause.type == "*") return clause.subtype == "*";
  return clause.type == served.type && (clause.subtype == served.subtype || clause.subtype == "*");
}

// acceptMediaTypeOptions: whether the clause's parameters can be honoured, and what they ask for.
std::optional<Representation> Accept(const Clause& clause, const Served& served, bool transforms) {
  Representation wanted;
  wanted.type = served.media;
  std::string_view as, group, version;
  bool refused = false;
  ForEachParam(clause.params, [&](std::string_view name, std::string_view value) {
    if (name == "as") as = value;
    if (name == "g") group = value;
    if (name == "v") version = value;
    if (name == "pretty") wanted.pretty = value == "1";
    if ((name == "stream" && !value.empty() && value != "watch") || (name == "sv" && !value.empty())) refused = true;
  });
  if (refused) return std::nullopt;
  if (as.empty()) return wanted;
  if (!transforms || group != "meta.k8s.io" || (version != "v1" && version != "v1beta1")) return std::nullopt;
  if (as == "PartialObjectMetadata") {
    wanted.transform = Transform::kPartialObjectMetadata;
  } else if (as == "PartialObjectMetadataList") {
    wanted.transform = Transform::kPartialObjectMetadataList;
  } else {
    return std::nullopt;
  }
  wanted.v1beta1 = version == "v1beta1";
  return wanted;
}

// isPrettyPrint.
bool IsPretty(const Preference& preference) {
  if (preference.pretty) {
    constexpr std::string_view kTrue[] = {"1", "t", "T", "true", "TRUE", "True"};
    return std::find(std::begin(kTrue), std::end(kTrue), *preference.pretty) != std::end(kTrue);
  }
  constexpr std::string_view kPeople[] = {"curl", "Wget", "Mozilla/5.0"};
  return std::any_of(std::begin(kPeople), std::end(kPeople),
                     [&](std::string_view prefix) { return preference.user_agent.starts_with(prefix); });
}

std::optional<Representation> NegotiateClauses(const Preference& preference, bool transforms) {
  std::optional<Representation> chosen;
  // What nearly every client sends, without building a list.
  if (preference.accept.empty() || preference.accept == kServed[0].whole) {
    chosen = Representation{};
  } else if (preference.accept == kServed[2].whole) {
    chosen = Representation{.type = MediaType::kProtobuf};
  } else {
    for (const Clause& clause : ParseAccept(preference.accept)) {
      for (const Served& served : kServed) {
        if (!chosen && Matches(clause, served)) chosen = Accept(clause, served, transforms);
      }
      if (chosen) break;
    }
  }
  if (!chosen) return std::nullopt;
  chosen->pretty = chosen->type == MediaType::kJson && (chosen->pretty || IsPretty(preference));
  return chosen;
}

// go-restful's matchesAccept, which runs first: media types compare as they are written, and only */* is a wildcard.
bool NamesAServedType(std::string_view accept) {
  if (accept.empty()) return true;
  while (!accept.empty()) {
    std::string_view part = Next(accept, ',');
    const std::string_view range = Trim(Next(part, ';'));
    if (range == "*/*") return true;
    for (const Served& served : kServed) {
      if (range == served.whole) return true;
    }
  }
  return false;
}

}  // namespace

Negotiation Negotiate(const Preference& preference) {
  if (!NamesAServedType(preference.accept)) return {Refusal::kMediaType, {}};
  const auto chosen = NegotiateClauses(preference, true);
  if (!chosen) return {Refusal::kConversion, {}};
  return {Refusal::kNone, *chosen};
}

std::optional<Representation> NegotiatePlain(const Preference& preference) {
  return NegotiateClauses(preference, false);
}

std::string_view ContentType(MediaType type) { return kServed[static_cast<size_t>(type)].whole; }

}  // namespace strata::wire

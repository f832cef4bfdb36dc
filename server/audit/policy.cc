#include "server/audit/policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "lib/codec/decode_json.h"
#include "lib/codec/yaml.h"

namespace strata::audit {
namespace {

namespace v1 = ::k8s::io::apiserver::pkg::apis::audit::v1;
using Strings = google::protobuf::RepeatedPtrField<std::string>;

constexpr std::array<std::string_view, 4> kLevels = {"None", "Metadata", "Request",
                                                     "RequestResponse"};
constexpr std::array<std::string_view, 4> kStages = {"RequestReceived", "ResponseStarted",
                                                     "ResponseComplete", "Panic"};

template <size_t N>
std::optional<size_t> IndexOf(const std::array<std::string_view, N>& names, std::string_view name) {
  const auto at = std::find(names.begin(), names.end(), name);
  if (at == names.end()) return std::nullopt;
  return static_cast<size_t>(at - names.begin());
}

bool Has(const Strings& list, std::string_view value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

uint8_t StageBits(const Strings& stages) {
  uint8_t bits = 0;
  for (const std::string& stage : stages) {
    if (const auto at = IndexOf(kStages, stage)) bits |= static_cast<uint8_t>(1u << *at);
  }
  return bits;
}

bool PathMatches(std::string_view spec, std::string_view path) {
  if (spec == "*" || spec == path) return true;
  return spec.ends_with('*') && path.starts_with(spec.substr(0, spec.size() - 1));
}

bool ResourceMatches(std::string_view spec, const api::RequestInfo& request) {
  const std::string combined =
      request.subresource.empty() ? request.resource : request.resource + "/" + request.subresource;
  if (spec == "*" || spec == combined) return true;
  if (!request.subresource.empty() && spec.starts_with("*/") &&
      spec.substr(2) == request.subresource)
    return true;
  return spec.ends_with("/*") && spec.substr(0, spec.size() - 2) == request.resource;
}

// checker.go ruleMatchesResource.
bool MatchesResource(const v1::PolicyRule& rule, const api::RequestInfo& request) {
  if (!request.is_resource) return false;
  if (!rule.namespaces().empty() && !Has(rule.namespaces(), request.ns)) return false;
  if (rule.resources().empty()) return true;
  return std::any_of(
      rule.resources().begin(), rule.resources().end(), [&](const v1::GroupResources& one) {
        if (one.group() != request.api_group) return false;
        if (one.resources().empty()) return true;
        if (!one.resource_names().empty() && !Has(one.resource_names(), request.name)) return false;
        return std::any_of(one.resources().begin(), one.resources().end(),
                           [&](const std::string& spec) { return ResourceMatches(spec, request); });
      });
}

// checker.go ruleMatches.
bool Matches(const v1::PolicyRule& rule, const auth::UserInfo& user,
             const api::RequestInfo& request) {
  if (!rule.users().empty() && !Has(rule.users(), user.name)) return false;
  if (!rule.user_groups().empty() &&
      std::none_of(user.groups.begin(), user.groups.end(),
                   [&](const std::string& group) { return Has(rule.user_groups(), group); })) {
    return false;
  }
  if (!rule.verbs().empty() && !Has(rule.verbs(), request.verb)) return false;
  if (!rule.namespaces().empty() || !rule.resources().empty())
    return MatchesResource(rule, request);
  if (rule.non_resource_urls().empty()) return true;
  return !request.is_resource &&
         std::any_of(rule.non_resource_urls().begin(), rule.non_resource_urls().end(),
                     [&](const std::string& spec) { return PathMatches(spec, request.path); });
}

base::Status CheckStages(const Strings& stages, const std::string& field) {
  for (const std::string& stage : stages) {
    if (!IndexOf(kStages, stage)) {
      return base::InvalidArgumentError(
          fmt::format("{}: {} is none of RequestReceived, ResponseStarted, ResponseComplete, Panic",
                      field, stage));
    }
  }
  return base::OkStatus();
}

// pkg/apis/audit/validation.
base::Status Check(const v1::Policy& policy) {
  if (policy.rules().empty()) return base::InvalidArgumentError("rules: at least one is needed");
  STRATA_RETURN_IF_ERROR(CheckStages(policy.omit_stages(), "omitStages"));
  for (int i = 0; i < policy.rules_size(); ++i) {
    const v1::PolicyRule& rule = policy.rules(i);
    const std::string where = fmt::format("rules[{}]", i);
    if (!IndexOf(kLevels, rule.level())) {
      return base::InvalidArgumentError(
          fmt::format("{}.level: {} is none of None, Metadata, Request, RequestResponse", where,
                      rule.level().empty() ? "nothing" : rule.level()));
    }
    if (!rule.non_resource_urls().empty() &&
        (!rule.resources().empty() || !rule.namespaces().empty())) {
      return base::InvalidArgumentError(
          where + ".nonResourceURLs: rules cannot apply to both resources and non-resource URLs");
    }
    for (const std::string& url : rule.non_resource_urls()) {
      if (url != "*" && (!url.starts_with('/') || url.find('*') < url.size() - 1)) {
        return base::InvalidArgumentError(
            fmt::format("{}.nonResourceURLs: {} is no path, nor one that ends with *", where, url));
      }
    }
    STRATA_RETURN_IF_ERROR(CheckStages(rule.omit_stages(), where + ".omitStages"));
  }
  return base::OkStatus();
}

base::Status Read(std::string_view json, v1::Policy& policy) {
  std::vector<std::string> unknown;
  STRATA_ASSIGN_OR_RETURN(const codec::DecodedType type, codec::DecodeJson(json, policy, &unknown));
  if (type.kind != "Policy" || type.api_version != "audit.k8s.io/v1") {
    return base::InvalidArgumentError(
        fmt::format("kind Policy of audit.k8s.io/v1 is expected, not {} of {}",
                    type.kind.empty() ? "none" : type.kind,
                    type.api_version.empty() ? "none" : type.api_version));
  }
  if (!unknown.empty())
    return base::InvalidArgumentError(fmt::format("{}: no such field", unknown.front()));
  return Check(policy);
}

}  // namespace

std::string_view NameOf(Level level) {
  return kLevels.at(static_cast<size_t>(level));
}

std::string_view NameOf(Stage stage) {
  return kStages.at(static_cast<size_t>(stage));
}

base::StatusOr<Policy> Policy::Parse(std::string_view text) {
  Policy policy;
  int documents = 0;
  base::Status status;
  const base::Status parsed =
      codec::ForEachYamlDocument(text, [&](const codec::YamlDocument& document) {
        status = ++documents == 1 ? Read(document.json, policy.policy_)
                                  : base::InvalidArgumentError("one document is expected");
        return status.ok();
      });
  status.Update(parsed);
  if (!status.ok()) return status;
  if (documents == 0) return base::InvalidArgumentError("it is empty");
  return policy;
}

Policy::Verdict Policy::Evaluate(const auth::UserInfo& user,
                                 const api::RequestInfo& request) const {
  for (const v1::PolicyRule& rule : policy_.rules()) {
    if (!Matches(rule, user, request)) continue;
    return {static_cast<Level>(IndexOf(kLevels, rule.level()).value_or(0)),
            static_cast<uint8_t>(StageBits(rule.omit_stages()) | StageBits(policy_.omit_stages()))};
  }
  return {};
}

}  // namespace strata::audit

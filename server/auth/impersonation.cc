#include "server/auth/impersonation.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "server/auth/request_header.h"

namespace strata::auth {
namespace {

constexpr std::string_view kAny = "impersonate-";
constexpr std::string_view kUser = "impersonate-user";
constexpr std::string_view kGroup = "impersonate-group";
constexpr std::string_view kUid = "impersonate-uid";
constexpr std::string_view kExtra = "impersonate-extra-";
constexpr std::string_view kServiceAccount = "system:serviceaccount:";

api::RequestInfo Question(std::string resource, std::string name) {
  api::RequestInfo info;
  info.is_resource = true;
  info.verb = "impersonate";
  info.resource = std::move(resource);
  info.name = std::move(name);
  return info;
}

api::RequestInfo AuthenticationQuestion(std::string resource, std::string name) {
  api::RequestInfo info = Question(std::move(resource), std::move(name));
  info.api_group = "authentication.k8s.io";
  info.api_version = "v1";
  return info;
}

// Namespace and name of `system:serviceaccount:NS:NAME` (serviceaccount.SplitUsername, which checks
// the characters too: what isn't one is a user of that name, and needs the right to that).
std::optional<std::pair<std::string, std::string>> SplitServiceAccount(std::string_view name) {
  if (!name.starts_with(kServiceAccount)) return std::nullopt;
  name.remove_prefix(kServiceAccount.size());
  const size_t colon = name.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view ns = name.substr(0, colon), account = name.substr(colon + 1);
  const auto label = [](std::string_view text, bool dots) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || (dots && c == '.');
    });
  };
  if (!label(ns, false) || !label(account, true)) return std::nullopt;
  return std::pair(std::string(ns), std::string(account));
}

void AddSystemGroup(UserInfo& user) {
  const auto has = [&](std::string_view group) {
    return std::find(user.groups.begin(), user.groups.end(), group) != user.groups.end();
  };
  if (user.name == kAnonymous) {
    if (!has(kUnauthenticated)) user.groups.emplace_back(kUnauthenticated);
  } else if (!has(kAuthenticated) && !has(kUnauthenticated)) {
    user.groups.emplace_back(kAuthenticated);
  }
}

// "[{User  alice    } {Group  devs    }]": the references that upstream has made of the headers.
std::string Described(const Impersonation& wanted) {
  std::string text;
  for (const api::RequestInfo& info : wanted.needed) {
    const bool group = info.resource == "groups";
    const std::string_view kind = group ? "Group" : info.resource == "uids" ? "UID" : "UserExtra";
    text += fmt::format("{}{{{}  {}  {}  {}}}", text.empty() ? "" : " ", kind, info.name,
                        group ? "" : "authentication.k8s.io/v1", info.subresource);
  }
  return "[" + text + "]";
}

}  // namespace

base::StatusOr<std::optional<Impersonation>> FindImpersonation(const http::Headers& headers) {
  if (std::none_of(headers.begin(), headers.end(),
                   [](const http::Header& header) { return header.name.starts_with(kAny); }))
    return std::optional<Impersonation>();
  Impersonation wanted;
  auto user = std::make_shared<UserInfo>();
  const std::vector<std::string_view> groups = headers.All(kGroup);
  if (const std::string* name = headers.Find(kUser); name != nullptr && !name->empty()) {
    user->name = *name;
    if (const auto account = SplitServiceAccount(*name)) {
      wanted.needed.push_back(Question("serviceaccounts", account->second));
      wanted.needed.back().ns = account->first;
      if (groups.empty()) {
        user->groups = {"system:serviceaccounts", "system:serviceaccounts:" + account->first};
      }
    } else {
      wanted.needed.push_back(Question("users", *name));
    }
  }
  for (const std::string_view group : groups) {
    wanted.needed.push_back(Question("groups", std::string(group)));
    user->groups.emplace_back(group);
  }
  for (const http::Header& header : headers) {
    if (!header.name.starts_with(kExtra)) continue;
    const std::string key = UnescapeExtraKey(std::string_view(header.name).substr(kExtra.size()));
    wanted.needed.push_back(AuthenticationQuestion("userextras", header.value));
    wanted.needed.back().subresource = key;
    user->extra[key].push_back(header.value);
  }
  if (const std::string* uid = headers.Find(kUid); uid != nullptr && !uid->empty()) {
    wanted.needed.push_back(AuthenticationQuestion("uids", *uid));
    user->uid = *uid;
  }
  if (wanted.needed.empty()) return std::optional<Impersonation>();
  if (user->name.empty()) {
    return base::InvalidArgumentError(
        fmt::format("requested {} without impersonating a user", Described(wanted)));
  }
  AddSystemGroup(*user);
  wanted.user = std::move(user);
  return std::optional<Impersonation>(std::move(wanted));
}

}  // namespace strata::auth

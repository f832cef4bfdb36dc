#include "server/auth/request_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "lib/base/ascii.h"
#include "server/api/query.h"

namespace strata::auth {
namespace {

// Names of received headers are lower-case.
std::shared_ptr<const RequestHeaderConfig> Normalized(RequestHeaderConfig config) {
  for (auto* names : {&config.username_headers, &config.uid_headers, &config.group_headers,
                      &config.extra_header_prefixes}) {
    for (std::string& name : *names) name = base::Lower(name);
  }
  return std::make_shared<const RequestHeaderConfig>(std::move(config));
}

std::string FirstValue(const http::Headers& headers, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const std::string* value = headers.Find(name);
    if (value != nullptr && !value->empty()) return *value;
  }
  return {};
}

std::shared_ptr<const UserInfo> UserOf(const http::Headers& headers,
                                       const RequestHeaderConfig& config) {
  auto user = std::make_shared<UserInfo>();
  user->name = FirstValue(headers, config.username_headers);
  if (user->name.empty()) return nullptr;
  user->uid = FirstValue(headers, config.uid_headers);
  for (const std::string& name : config.group_headers) {
    for (const std::string_view value : headers.All(name)) {
      if (!value.empty()) user->groups.emplace_back(value);
    }
  }
  for (const std::string& prefix : config.extra_header_prefixes) {
    for (const http::Header& header : headers) {
      if (!header.name.starts_with(prefix)) continue;
      const std::string_view key = std::string_view(header.name).substr(prefix.size());
      user->extra[UnescapeExtraKey(key)].push_back(header.value);
    }
  }
  return user;
}

// Why a certificate isn't a proxy's; empty: it is.
std::string DoubtOf(const CaPool::Verdict& verdict, const RequestHeaderConfig& config) {
  if (!verdict.error.empty()) return verdict.error;
  const std::string name = verdict.user == nullptr ? "" : verdict.user->name;
  const auto& allowed = config.allowed_names;
  if (allowed.empty() || std::find(allowed.begin(), allowed.end(), name) != allowed.end())
    return {};
  return fmt::format("x509: subject with cn={} is not in the allowed list", name);
}

}  // namespace

std::string UnescapeExtraKey(std::string_view escaped) {
  std::string key = base::Lower(escaped);
  if (auto unescaped = api::Unescape(key, /*plus=*/false)) return *std::move(unescaped);
  return key;
}

RequestHeader::RequestHeader(std::shared_ptr<const CaPool> cas, RequestHeaderConfig config)
    : cas_(std::move(cas)), config_(Normalized(std::move(config))) {}

void RequestHeader::Set(RequestHeaderConfig config) {
  auto next = Normalized(std::move(config));
  base::MutexLock lock(&mu_);
  config_ = std::move(next);
}

std::shared_ptr<const RequestHeaderConfig> RequestHeader::config() const {
  base::MutexLock lock(&mu_);
  return config_;
}

bool RequestHeader::IsProxy(const std::vector<std::string>& chain) const {
  const auto verdict = cas_->Verify(chain);
  return verdict != nullptr && DoubtOf(*verdict, *config()).empty();
}

std::optional<Authentication> RequestHeader::Authenticate(const http::Request& request,
                                                          Later) const {
  if (request.peer == nullptr || request.peer->certificate_chain.empty()) return Authentication{};
  const auto verdict = cas_->Verify(request.peer->certificate_chain);
  if (verdict == nullptr) return Authentication{};
  const std::shared_ptr<const RequestHeaderConfig> config = this->config();
  Authentication result;
  result.error = DoubtOf(*verdict, *config);
  if (!result.error.empty()) {
    result.result = Authentication::Result::kError;
    return result;
  }
  result.user = UserOf(request.headers, *config);
  if (result.user != nullptr) result.result = Authentication::Result::kUser;
  return result;
}

}  // namespace strata::auth

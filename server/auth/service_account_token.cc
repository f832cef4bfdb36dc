#include "server/auth/service_account_token.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

#include "server/auth/review_metrics.h"
#include "server/auth/token_digest.h"

namespace strata::auth {
namespace {

using codec::JsonTree;
using std::chrono::seconds;

constexpr seconds kKept{10};

// NumericDate (RFC 7519 §2), whole seconds; fractions are cut. Nothing: absent, or no such number.
std::optional<int64_t> DateOf(const JsonTree& claims, std::string_view key) {
  const JsonTree* value = codec::Member(&claims, key);
  if (value == nullptr || value->kind != JsonTree::Kind::kLiteral) return std::nullopt;
  int64_t date = 0;
  const char* end = value->text.data() + value->text.size();
  const auto [at, error] = std::from_chars(value->text.data(), end, date);
  if (error != std::errc() || (at != end && *at != '.')) return std::nullopt;
  return date;
}

std::vector<std::string> AudiencesOf(const JsonTree& claims) {
  const JsonTree* value = codec::Member(&claims, "aud");
  if (value == nullptr) return {};
  if (value->kind == JsonTree::Kind::kString) return {value->text};
  std::vector<std::string> audiences;
  for (const JsonTree& item : value->items) {
    if (item.kind == JsonTree::Kind::kString) audiences.push_back(item.text);
  }
  return audiences;
}

// claims.go Validate and ServiceAccountInfo.UserInfo.
std::shared_ptr<const UserInfo> UserOf(const JsonTree& claims) {
  const JsonTree* kubernetes = codec::Member(&claims, "kubernetes.io");
  const std::string ns = codec::StringMember(kubernetes, "namespace");
  const JsonTree* account = codec::Member(kubernetes, "serviceaccount");
  const std::string name = codec::StringMember(account, "name");
  if (ns.empty() || name.empty()) return nullptr;
  auto user = std::make_shared<UserInfo>();
  user->name = fmt::format("system:serviceaccount:{}:{}", ns, name);
  if (codec::StringMember(&claims, "sub") != user->name) return nullptr;
  user->uid = codec::StringMember(account, "uid");
  user->groups = {"system:serviceaccounts", "system:serviceaccounts:" + ns};
  const auto add = [&](const char* key, std::string value) {
    if (!value.empty())
      user->extra[std::string("authentication.kubernetes.io/") + key] = {std::move(value)};
  };
  for (const char* bound : {"pod", "node"}) {
    const JsonTree* object = codec::Member(kubernetes, bound);
    add(fmt::format("{}-name", bound).c_str(), codec::StringMember(object, "name"));
    add(fmt::format("{}-uid", bound).c_str(), codec::StringMember(object, "uid"));
  }
  if (const std::string id = codec::StringMember(&claims, "jti"); !id.empty())
    add("credential-id", "JTI=" + id);
  return user;
}

bool Intersect(const std::vector<std::string>& one, const std::vector<std::string>& other) {
  return std::any_of(one.begin(), one.end(), [&](const std::string& value) {
    return std::find(other.begin(), other.end(), value) != other.end();
  });
}

}  // namespace

base::StatusOr<std::unique_ptr<ServiceAccountToken>> ServiceAccountToken::Open(
    const Options& options, files::FileWatcher& watcher, const base::Clock& clock,
    obs::Metrics& metrics) {
  auto state = std::make_shared<State>();
  std::vector<std::string> paths = options.key_files;
  const size_t pem_files = paths.size();
  paths.insert(paths.end(), options.jwks_files.begin(), options.jwks_files.end());
  const auto load = [state, paths, pem_files](const std::vector<std::string>& contents) {
    auto keys = std::make_shared<std::vector<VerifyKey>>();
    for (size_t i = 0; i < contents.size(); ++i) {
      auto read = i < pem_files ? ReadPemKeys(contents[i]) : ReadJwks(contents[i]);
      if (!read.ok()) return base::Annotate(read.status(), paths[i]);
      std::move(read->begin(), read->end(), std::back_inserter(*keys));
    }
    base::MutexLock lock(&state->mu);
    state->keys = std::move(keys);
    return base::OkStatus();
  };
  STRATA_RETURN_IF_ERROR(watcher.Watch("service-account-keys", paths, load));
  return std::unique_ptr<ServiceAccountToken>(
      new ServiceAccountToken(options, std::move(state), clock, metrics));
}

ServiceAccountToken::ServiceAccountToken(const Options& options, std::shared_ptr<State> state,
                                         const base::Clock& clock, obs::Metrics& metrics)
    : options_(options),
      state_(std::move(state)),
      clock_(clock),
      key_(RandomKey()),
      cache_(options.cache, clock) {
  AddCacheMetrics(metrics, "service_account_token", [this] { return cache_.stats(); });
}

ServiceAccountToken::Verdict ServiceAccountToken::Verify(std::string_view token) const {
  Verdict verdict;
  const auto jwt = ParseJwt(token);
  // Another kind of token, or another issuer's, is somebody else's to judge; if nobody knows it, it
  // is wrong, and its bearer isn't anonymous (bearertoken.go).
  verdict.result.result = Authentication::Result::kError;
  verdict.result.error = "invalid bearer token";
  if (!jwt.ok()) return verdict;
  const auto& issuers = options_.issuers;
  if (std::find(issuers.begin(), issuers.end(), codec::StringMember(&jwt->claims, "iss")) ==
      issuers.end())
    return verdict;

  std::string& error = verdict.result.error;
  std::shared_ptr<const std::vector<VerifyKey>> keys;
  {
    base::MutexLock lock(&state_->mu);
    keys = state_->keys;
  }
  if (!HasValidSignature(*jwt, *keys)) {
    error = "the service account token's signature is not valid";
    return verdict;
  }
  const int64_t now = std::chrono::system_clock::to_time_t(clock_.WallNow());
  const auto expires = DateOf(jwt->claims, "exp"), not_before = DateOf(jwt->claims, "nbf");
  const auto& wanted = options_.audiences.empty() ? issuers : options_.audiences;
  if (!expires) {
    error = "the service account token has no expiry";
  } else if (now >= *expires) {
    error = "service account token has expired";
  } else if (not_before && now < *not_before) {
    error = "service account token is not valid yet";
  } else if (!Intersect(AudiencesOf(jwt->claims), wanted)) {
    error = "the service account token is for other audiences";
  } else if (auto user = UserOf(jwt->claims); user == nullptr) {
    error = "the service account token names no account";
  } else {
    verdict.result.result = Authentication::Result::kUser;
    verdict.result.user = std::move(user);
    verdict.keep = std::min<std::chrono::nanoseconds>(kKept, seconds(*expires - now));
  }
  return verdict;
}

std::optional<Authentication> ServiceAccountToken::Authenticate(const http::Request& request,
                                                                Later later) const {
  using Cache = ReviewCache<Authentication>;
  const BearerToken bearer = FindBearerToken(request.headers);
  if (bearer.token.empty()) return Authentication{};
  const TokenDigest digest = DigestOf(key_, bearer.token);
  const auto result_of = [](const Cache::Result& result) -> Authentication {
    if (result.ok()) return **result;
    return {
        Authentication::Result::kError, nullptr, std::string(base::Message(result.status())), {}};
  };
  // What isn't ours, or is wrong, isn't kept: it costs little, and must not fill the cache.
  const auto kept = cache_.Get(
      {reinterpret_cast<const char*>(digest.data()), digest.size()},
      /*user=*/"",  // what is verified here keeps nobody waiting
      [&](const Cache::Answered& answered) {
        Verdict verdict = Verify(bearer.token);
        answered(std::make_shared<const Authentication>(std::move(verdict.result)), verdict.keep);
      },
      // Called on whichever thread verifies the same token at this moment.
      [&]() -> Cache::Done {
        return
            [done = later(), result_of](const Cache::Result& result) { done(result_of(result)); };
      });
  if (!kept) return std::nullopt;
  return result_of(*kept);
}

}  // namespace strata::auth

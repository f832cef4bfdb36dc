#include "server/auth/ca_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "lib/base/bytes.h"
#include "lib/x509/verify.h"

namespace strata::auth {
namespace {

constexpr auto kKnownFor = std::chrono::seconds(10);
constexpr size_t kMaxKnown = 4096;

// As near as a WallTime gets: it ends in 2262, and certificates may not.
base::WallTime AsWallTime(int64_t seconds) {
  constexpr auto kLast = std::chrono::floor<std::chrono::seconds>(base::WallTime::max());
  constexpr auto kFirst = std::chrono::ceil<std::chrono::seconds>(base::WallTime::min());
  return base::WallTime(std::clamp(std::chrono::seconds(seconds), kFirst.time_since_epoch(),
                                   kLast.time_since_epoch()));
}

}  // namespace

base::Status CaPool::Set(std::string_view pem) {
  STRATA_ASSIGN_OR_RETURN(auto parsed, x509::Pool::Parse(pem));
  auto roots = std::make_shared<const x509::Pool>(std::move(parsed));
  base::MutexLock lock(&mu_);
  roots_ = std::move(roots);
  known_.clear();
  return base::OkStatus();
}

CaPool::Verdict CaPool::Judge(const std::vector<std::string>& der, const x509::Pool& roots) const {
  const auto failed = [](const base::Status& why, base::WallTime not_after) -> Verdict {
    return {fmt::format("verifying the client certificate failed: {}", base::Message(why)), nullptr,
            not_after};
  };
  const auto chain = x509::ParseChain(der);
  if (!chain.ok()) return failed(chain.status(), {});
  const x509::Certificate& leaf = *chain->front();
  const base::WallTime not_after = AsWallTime(leaf.not_after);
  const base::Status trusted =
      x509::Verify(*chain, roots, {.usage = x509::Usage::kClient, .now = clock_.WallNow()});
  if (!trusted.ok()) return failed(trusted, not_after);
  if (leaf.subject.common_name.empty()) return {"", nullptr, not_after};
  auto user = std::make_shared<UserInfo>();
  user->name = leaf.subject.common_name;
  user->groups = leaf.subject.organizations;
  const TokenDigest digest = DigestOf("", leaf.raw);
  user->extra["authentication.kubernetes.io/credential-id"] = {
      "X509SHA256=" + base::ToHex({reinterpret_cast<const char*>(digest.data()), digest.size()})};
  return {"", std::move(user), not_after};
}

std::shared_ptr<const CaPool::Verdict> CaPool::Verify(const std::vector<std::string>& chain) const {
  std::string all;
  for (const std::string& der : chain) all += der;
  const TokenDigest digest = DigestOf("", all);
  const auto now = clock_.Now();
  std::shared_ptr<const x509::Pool> roots;
  {
    base::MutexLock lock(&mu_);
    if (roots_ == nullptr) return nullptr;
    const auto known = known_.find(digest);
    if (known != known_.end() && known->second.until > now) return known->second.verdict;
    roots = roots_;
  }
  auto verdict = std::make_shared<const Verdict>(Judge(chain, *roots));
  base::MutexLock lock(&mu_);
  if (known_.size() >= kMaxKnown) known_.clear();
  // Not what was verified against roots that have been replaced meanwhile.
  if (roots_ == roots) known_[digest] = {verdict, now + kKnownFor};
  return verdict;
}

}  // namespace strata::auth

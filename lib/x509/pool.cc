#include "lib/x509/pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "lib/x509/pem.h"

namespace strata::x509 {
namespace {

// Every certificate of `pem`, as far as it can be parsed; what can't is told to `refused`, whose
// error ends it.
base::StatusOr<Pool> Gather(
    std::string_view pem,
    const std::function<base::Status(size_t number, const base::Status& why)>& refused) {
  Pool pool;
  size_t number = 0;
  while (const auto block = NextPemBlock(pem)) {
    if (block->type != "CERTIFICATE" || block->has_headers) continue;
    ++number;
    auto certificate = Certificate::Parse(block->bytes);
    if (certificate.ok()) {
      pool.Add(*std::move(certificate));
    } else {
      STRATA_RETURN_IF_ERROR(refused(number, certificate.status()));
    }
  }
  if (pool.all().empty()) return base::InvalidArgumentError("no PEM certificate in it");
  return pool;
}

}  // namespace

base::StatusOr<Pool> Pool::Parse(std::string_view pem) {
  return Gather(pem, [](size_t number, const base::Status& why) {
    return base::Annotate(why, fmt::format("certificate {} in it can't be parsed", number));
  });
}

base::StatusOr<Pool> Pool::ParseUsable(std::string_view pem) {
  return Gather(pem, [](size_t, const base::Status&) { return base::OkStatus(); });
}

void Pool::Add(CertificatePtr certificate) {
  if (!raws_.insert(certificate->raw).second) return;
  by_subject_[certificate->raw_subject].push_back(certificate.get());
  all_.push_back(std::move(certificate));
}

std::vector<const Certificate*> Pool::ParentsOf(const Certificate& certificate) const {
  const auto found = by_subject_.find(certificate.raw_issuer);
  if (found == by_subject_.end()) return {};
  // Both identifiers agree; only one is there; they differ.
  const auto rank = [&](const Certificate* parent) {
    const std::string_view have = parent->subject_key_id, want = certificate.authority_key_id;
    if (have == want) return 0;
    return have.empty() != want.empty() ? 1 : 2;
  };
  std::vector<const Certificate*> parents = found->second;
  std::stable_sort(parents.begin(), parents.end(),
                   [&](const auto* a, const auto* b) { return rank(a) < rank(b); });
  return parents;
}

}  // namespace strata::x509

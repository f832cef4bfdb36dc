#include "storage/reflector/health.h"

#include <algorithm>
#include <utility>

namespace strata::reflector {
namespace {

constexpr size_t kMostReasons = 8;  // between which endpoints may alternate

}  // namespace

void Health::Set(Part part, base::Status status) {
  const bool watch = part == Part::kWatch;
  absl::MutexLock lock(&mu_);
  if (!status.ok()) {
    std::string reason(base::Message(status));
    const bool told = std::find(told_.begin(), told_.end(), reason) != told_.end();
    if (!told && told_.size() < kMostReasons) {
      log_.Warning("The storage backend can't be used; trying again",
                   {{"for", watch ? "watch" : "reads"}, {"err", status}});
      told_.push_back(std::move(reason));
    }
  }
  (watch ? watch_ : reads_) = std::move(status);
  if (!watch_.ok() || !reads_.ok() || told_.empty()) return;
  log_.Info("The storage backend can be used again");
  told_.clear();
}

base::Status Health::status() const {
  absl::MutexLock lock(&mu_);
  return watch_.ok() ? reads_ : watch_;
}

}  // namespace strata::reflector

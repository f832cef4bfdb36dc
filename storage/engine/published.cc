#include "storage/engine/published.h"

namespace strata::engine {

Revision Published::revision() const {
  absl::MutexLock lock(&mu_);
  return revision_;
}

Revision Published::compacted() const {
  absl::MutexLock lock(&mu_);
  return compacted_;
}

void Published::Publish(Revision revision, Revision compacted) {
  {
    absl::MutexLock lock(&mu_);
    revision_ = revision;
    compacted_ = compacted;
  }
  metrics_.revision.Set(static_cast<double>(revision));
  metrics_.compacted.Set(static_cast<double>(compacted));
  absl::MutexLock lock(&listeners_mu_);
  for (CommitListener* listener : listeners_) listener->OnCommit(revision);
}

void Published::AddListener(CommitListener& listener) {
  absl::MutexLock lock(&listeners_mu_);
  listeners_.push_back(&listener);
}

void Published::RemoveListener(CommitListener& listener) {
  absl::MutexLock lock(&listeners_mu_);
  std::erase(listeners_, &listener);
}

}  // namespace strata::engine

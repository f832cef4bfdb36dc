// layerusages: what the image streams of each namespace take.
#pragma once

#include <absl/base/thread_annotations.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/mutex.h"
#include "lib/base/revision.h"
#include "lib/base/status.h"
#include "proto/layers/v1alpha1/layers.pb.h"
#include "server/layers/reading.h"

namespace strata::views {

namespace v1alpha1 = ::strata::dev::layers::v1alpha1;

// Of all namespaces at one revision: what is one's own depends on the others. In the order of their
// streams' keys: that of `a-b` before that of `a`.
using Usages = std::vector<v1alpha1::LayerUsage>;

// kCancelled.
base::StatusOr<Usages> UsagesOf(const layers::Reading& reading);

// Under which it stands: that of an image stream which is called as its namespace.
std::string KeyOf(std::string_view ns);

// Of one namespace; null if it has no image streams.
const v1alpha1::LayerUsage* Find(const Usages& usages, std::string_view ns);

// Remembers the last one, for many ask after one change. Thread-safe.
class UsageMemory {
 public:
  // As new as the reading.
  base::StatusOr<std::shared_ptr<const Usages>> Of(const layers::Reading& reading)
      ABSL_LOCKS_EXCLUDED(mu_);

 private:
  base::Mutex mu_;
  base::Revision revision_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t list_ ABSL_GUARDED_BY(mu_) = 0;
  std::shared_ptr<const Usages> last_ ABSL_GUARDED_BY(mu_);
};

}  // namespace strata::views

// klog's access log, at -v=3 (k8s.io/apiserver pkg/server/httplog/httplog.go Log), and who asks, by
// the audit log's names.
#pragma once

#include "lib/obs/log.h"
#include "server/serving/filter.h"

namespace strata::serving::filters {

class AccessLog final : public Filter {
 public:
  explicit AccessLog(const obs::Logger& log) : log_(log) {}
  void Finish(ServedCall& call, const Outcome& outcome) override;

 private:
  const obs::Logger& log_;
};

}  // namespace strata::serving::filters

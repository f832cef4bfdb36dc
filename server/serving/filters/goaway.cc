#include "server/serving/filters/goaway.h"

#include <random>

#include "server/serving/served_call.h"

namespace strata::serving::filters {

Step Goaway::Apply(ServedCall& call) {
  if (chance_ <= 0 || call.request.version != http::Version::kHttp2) return Step::kGoOn;
  thread_local std::minstd_rand random{std::random_device()()};
  call.close = std::uniform_real_distribution<double>()(random) < chance_;
  return Step::kGoOn;
}

}  // namespace strata::serving::filters

// What a metric shows.
#pragma once

#include <string>
#include <string_view>

#include "lib/obs/metrics.h"

namespace strata::testing_support {

// `name` with its labels, as /metrics writes it; -1 where there is none.
inline double MetricOf(const obs::Metrics& metrics, std::string_view name) {
  const std::string text = metrics.Text(), line = "\n" + std::string(name) + " ";
  const size_t at = text.find(line);
  return at == std::string::npos ? -1 : std::stod(text.substr(at + line.size()));
}

}  // namespace strata::testing_support

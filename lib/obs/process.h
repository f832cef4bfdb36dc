// What the process takes of the machine, under the names of Prometheus' client libraries.
#pragma once

#include "lib/obs/metrics.h"

namespace strata::obs {

// process_resident_memory_bytes, process_cpu_seconds_total, process_open_fds,
// process_start_time_seconds, …
void AddProcessMetrics(Metrics& metrics);

}  // namespace strata::obs

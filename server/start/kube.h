// How an API server is reached, for each thing that is asked of one.
#pragma once

#include <memory>
#include <string>

#include "lib/base/status.h"
#include "lib/obs/metrics.h"
#include "server/kube/client.h"
#include "server/start/flags.h"

namespace strata::start {

// A client by `kubeconfig`, whose own flag an error names, unless it is --kubeconfig that was given
// for it; `name` says in metrics what it is for. Null: no file, and this is no pod.
base::StatusOr<std::shared_ptr<kube::Client>> ConnectKube(const Flags& flags,
                                                          const std::string& kubeconfig,
                                                          const char* own_flag, const char* name,
                                                          obs::Metrics& metrics);

}  // namespace strata::start

#include "server/start/kube.h"

namespace strata::start {

base::StatusOr<std::shared_ptr<kube::Client>> ConnectKube(const Flags& flags,
                                                          const std::string& kubeconfig,
                                                          const char* own_flag, const char* name,
                                                          obs::Metrics& metrics) {
  kube::Client::Options options = flags.kube;
  options.name = name;
  auto client = kube::Client::Connect(kubeconfig, options, metrics);
  if (!client.ok()) {
    return base::Annotate(client.status(),
                          kubeconfig == flags.kubeconfig ? "--kubeconfig" : own_flag);
  }
  return client;
}

}  // namespace strata::start

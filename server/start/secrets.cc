#include "server/start/secrets.h"

#include "server/registry/image_v1.h"
#include "server/start/kube.h"
#include "server/start/lane.h"

namespace strata::start {

base::StatusOr<std::unique_ptr<Secrets>> Secrets::Create(const Flags& flags,
                                                         const base::Clock& clock,
                                                         obs::Metrics& metrics) {
  if (!flags.enable_secrets) return std::unique_ptr<Secrets>();
  STRATA_ASSIGN_OR_RETURN(auto kube, ConnectKube(flags, flags.secrets_kubeconfig,
                                                 "--secrets-kubeconfig", "secrets", metrics));
  if (kube == nullptr) {
    return base::InvalidArgumentError(
        "--enable-secrets asks kube-apiserver: give --kubeconfig or --secrets-kubeconfig where "
        "this is no pod");
  }
  return std::unique_ptr<Secrets>(new Secrets(std::move(kube), flags, clock, metrics));
}

Secrets::Secrets(std::shared_ptr<kube::Client> kube, const Flags& flags, const base::Clock& clock,
                 obs::Metrics& metrics)
    : kube_(std::move(kube)),
      askers_(flags.secret_askers, "secrets", metrics),
      handler_(*kube_, LaneOf(askers_), clock) {}

void Secrets::BindTo(endpoints::Router& router) {
  router.Serve(registry::ImageStreamSecrets(), "get", endpoints::ServeBy(handler_));
}

void Secrets::Stop() {
  kube_->Stop();
  askers_.Stop();
}

}  // namespace strata::start

// What --enable-secrets adds: the secrets of a namespace, and who asks kube-apiserver for them.
#pragma once

#include <memory>
#include <utility>

#include "lib/base/clock.h"
#include "lib/base/status.h"
#include "lib/obs/metrics.h"
#include "lib/transport/net/worker_pool.h"
#include "server/endpoints/router.h"
#include "server/endpoints/secrets.h"
#include "server/kube/client.h"
#include "server/start/flags.h"

namespace strata::start {

// With a client of its own: what users want of it holds up no review, and its account may be
// another.
class Secrets {
 public:
  // Null: they aren't enabled. An error names the flag.
  static base::StatusOr<std::unique_ptr<Secrets>> Create(const Flags& flags,
                                                         const base::Clock& clock,
                                                         obs::Metrics& metrics);
  ~Secrets() { Stop(); }

  void BindTo(endpoints::Router& router);
  // Whoever waits is told so.
  void Stop();

 private:
  Secrets(std::shared_ptr<kube::Client> kube, const Flags& flags, const base::Clock& clock,
          obs::Metrics& metrics);

  const std::shared_ptr<kube::Client> kube_;
  net::WorkerPool askers_;
  endpoints::SecretsHandler handler_;
};

}  // namespace strata::start

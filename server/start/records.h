// Where records come from, and where whole ones are kept: an etcd, the embedded store in this
// process, or an API server, as the flags choose.
#pragma once

#include <memory>

#include "lib/base/clock.h"
#include "lib/base/status.h"
#include "lib/obs/log.h"
#include "lib/obs/metrics.h"
#include "server/kube/client.h"
#include "server/start/flags.h"
#include "storage/client/client.h"
#include "storage/engine/store.h"
#include "storage/records/keys.h"
#include "storage/reflector/events.h"
#include "storage/reflector/source.h"
#include "storage/replica/history.h"
#include "storage/replica/replica.h"
#include "storage/replica/store_history.h"
#include "storage/rpc/server.h"

namespace strata::start {

// Made and ended by one thread; outlives the source that it makes.
class Records {
 public:
  // An error names the flag.
  static base::StatusOr<std::unique_ptr<Records>> Open(const Flags& flags, const base::Clock& clock,
                                                       const obs::Logger& log,
                                                       obs::Metrics& metrics);
  ~Records();

  const records::Keys& keys() const { return keys_; }
  // Whole records; null where layers alone are served.
  const replica::History* history() const { return history_; }
  // What keeps them, and has to be told before all others; null if nothing has to be.
  reflector::Consumer* keeper() const { return replica_.get(); }

  // Keeps `consumer` equal to the records. To be called once.
  std::unique_ptr<reflector::Source> MakeSource(const Flags& flags, reflector::Consumer& consumer,
                                                const base::Clock& clock, const obs::Logger& log,
                                                obs::Metrics& metrics);

 private:
  explicit Records(const Flags& flags) : keys_(flags.etcd_prefix) {}
  base::Status OpenBackend(const Flags& flags, const base::Clock& clock, const obs::Logger& log,
                           obs::Metrics& metrics);
  base::Status OpenHistory(const Flags& flags, const base::Clock& clock, const obs::Logger& log,
                           obs::Metrics& metrics);

  const records::Keys keys_;
  std::unique_ptr<engine::Store> store_;  // null: none is embedded
  std::unique_ptr<rpc::Server> rpc_;
  std::unique_ptr<client::Client> client_;  // of an etcd, or of the store; null: an API server
  std::shared_ptr<kube::Client> kube_;
  std::unique_ptr<replica::Replica> replica_;
  std::unique_ptr<replica::StoreHistory> stored_;
  const replica::History* history_ = nullptr;
};

}  // namespace strata::start

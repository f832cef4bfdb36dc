// One endpoint of a client: how to reach it, and the connection that calls share.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <memory>
#include <string>

#include "lib/base/clock.h"
#include "lib/base/status.h"
#include "lib/transport/net/address.h"
#include "lib/transport/net/client_credentials.h"
#include "storage/client/channel.h"
#include "storage/client/client.h"
#include "storage/client/direct.h"

namespace strata::client {

// Thread-safe but for `direct`, which Client guards.
struct Client::Endpoint {
  Endpoint(std::string u, net::Address a, net::ClientCredentials* files, const Options& options);
  // Within the process: a connection that is always there.
  Endpoint(std::string u, std::shared_ptr<const Connection> fixed, InProcessRange range);

  // The connection that calls share; dialled, and found to be an etcd's, if there is none. One
  // thread dials, others wait for what comes of it. `fresh`: it wasn't there before.
  base::StatusOr<std::shared_ptr<const Connection>> Connect(CallEnd& end,
                                                            base::MonotonicTime deadline,
                                                            bool& fresh) ABSL_LOCKS_EXCLUDED(mu);
  // The next call dials anew. Calls on it go on.
  void Drop(const std::shared_ptr<const Connection>& connection) ABSL_LOCKS_EXCLUDED(mu);
  // A connection of the caller's own, to an endpoint that is dialled.
  base::StatusOr<std::shared_ptr<const Connection>> Dial(CallEnd& end,
                                                         base::MonotonicTime deadline) const;

  const std::string url;
  const net::Address address;
  net::ClientCredentials* const tls;  // null: none
  const Options options;
  const bool dialled;
  const InProcessRange in_process;
  std::unique_ptr<DirectConnection> direct;  // null: in this process

 private:
  base::Status Greet(const Connection& connection, CallEnd& end,
                     base::MonotonicTime deadline) const;

  absl::Mutex mu;
  bool dialling ABSL_GUARDED_BY(mu) = false;
  base::Status failure ABSL_GUARDED_BY(mu);  // of the last dialling
  std::shared_ptr<const Connection> connection ABSL_GUARDED_BY(mu);
};

}  // namespace strata::client

// A worker pool as endpoints see it, who don't know it.
#pragma once

#include "lib/transport/net/worker_pool.h"
#include "server/endpoints/lane.h"

namespace strata::start {

// Of a pool that outlives it.
inline endpoints::Lane LaneOf(net::WorkerPool& pool) {
  return {[&pool](std::function<void()>& task, const endpoints::Lane::Order& order) {
            return pool.TrySubmit([task] { task(); }, {order.user, order.bytes});
          },
          [&pool](uint64_t ticket) { pool.Withdraw(ticket); }};
}

}  // namespace strata::start

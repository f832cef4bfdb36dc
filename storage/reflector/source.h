// Where records come from, as those see it who have no need to know: it keeps a consumer equal to
// what there is, and says how new that is.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "lib/base/status.h"
#include "storage/records/record.h"
#include "storage/reflector/barrier.h"

namespace strata::reflector {

class Source {
 public:
  virtual ~Source() = default;

  // Its consumer is called between the two.
  virtual void Start() = 0;
  virtual void Stop() = 0;

  virtual Barrier& barrier() = 0;

  // Whether a list has been completed since Start.
  virtual bool synced() const = 0;

  // OK while what changes is told; otherwise why not. Told by the log too, once each time that it
  // changes.
  virtual base::Status connection() const = 0;

  // Whether a record that was written before a request came may be missing all the same, although
  // the barrier lets the request go on. Then it has to be sought before anybody is told that it
  // doesn't exist.
  virtual bool may_miss() const { return false; }

  // Calls `done`, on any thread and perhaps inline, when the consumer has those of `ids` that
  // exist, with whether one of them does. An error: that can't be known of all; kResourceExhausted:
  // since too much is sought, of all or of `user`'s share. Thread-safe; `done` must not block.
  using Sought = std::function<void(base::StatusOr<bool> found)>;
  virtual void Seek(const std::vector<records::Id>& /*ids*/, std::string_view /*user*/,
                    const Sought& done) {
    done(false);
  }
};

}  // namespace strata::reflector

// Has records sought that the index hasn't, where the source of the records may have missed them,
// before anybody is told that they don't exist.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "server/endpoints/call.h"
#include "server/endpoints/freshness.h"
#include "storage/records/record.h"
#include "storage/reflector/source.h"

namespace strata::endpoints {

// Thread-safe.
class Seeker {
 public:
  explicit Seeker(reflector::Source& source) : source_(source) {}

  // Whether what is missing has to be sought: not for whoever takes what is known, however old.
  bool NeededFor(const Call& call) const;

  // Goes on, on the connection's thread, when it is known of all `ids` whether they exist: with
  // `handler` once more if one of them does, else with `then`. Where that can't be known, or what
  // exists is missing again and again, the call is failed. From any thread; the handler outlives
  // the call.
  void Seek(const std::shared_ptr<Call>& call, const std::vector<records::Id>& ids,
            FreshHandler& handler, std::function<void()> then) const;

 private:
  reflector::Source& source_;
};

}  // namespace strata::endpoints

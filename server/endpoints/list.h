// Lists of objects.
#pragma once

#include <memory>
#include <utility>

#include "lib/base/clock.h"
#include "server/endpoints/call.h"
#include "server/endpoints/freshness.h"
#include "server/endpoints/lane.h"
#include "server/objects/list_maker.h"

namespace strata::endpoints {

class Work;

// What lists and watches of all resources are made from.
struct Records {
  const replica::History& history;
  const records::Keys keys;
  base::Shares& memory;
};

// Thread-safe. Records are read and encoded by workers, a piece at a time.
class ListHandler final : private FreshHandler {
 public:
  ListHandler(const Records& records, const objects::Kind& kind, Freshness& freshness, Lane workers,
              const base::Clock& clock)
      : records_(records),
        kind_(kind),
        freshness_(freshness),
        workers_(std::move(workers)),
        clock_(clock) {}

  void Serve(std::shared_ptr<Call> call);

 private:
  void ServeFresh(const std::shared_ptr<Call>& call) override;
  // `gzip`: the client takes it.
  void Read(Work& work, base::Revision revision, const objects::ListForm& form, bool gzip) const;

  const Records& records_;
  const objects::Kind& kind_;
  Freshness& freshness_;
  const Lane workers_;
  const base::Clock& clock_;
};

}  // namespace strata::endpoints

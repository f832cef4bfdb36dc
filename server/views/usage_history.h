// layerusages as lists read them: one a namespace, under the key that an image stream would have
// which is called as its namespace.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>

#include "server/layers/index.h"
#include "server/views/timeline.h"
#include "server/views/usage.h"
#include "storage/records/keys.h"
#include "storage/replica/history.h"

namespace strata::views {

// Its records encode LayerUsages. Nobody watches them: any change may change them all. Thread-safe.
class UsageHistory final : public replica::History {
 public:
  // All outlive it. The timeline observes the index.
  UsageHistory(const layers::Index& index, const Timeline& timeline, const records::Keys& keys,
               UsageMemory& memory)
      : index_(index), timeline_(timeline), keys_(keys), memory_(memory) {}

  base::Revision oldest() const override { return timeline_.oldest(); }
  uint64_t epoch() const override { return timeline_.epoch(); }
  base::StatusOr<replica::Page> Read(const replica::Selection& selection) const override;
  base::StatusOr<std::optional<records::Change>> Find(const records::Id& id,
                                                      base::Revision revision,
                                                      base::MonotonicTime deadline) const override;
  base::StatusOr<base::Revision> Changes(
      const replica::Interval& interval,
      absl::FunctionRef<void(replica::Event event)> visit) const override;

 private:
  base::StatusOr<std::shared_ptr<const Usages>> At(base::Revision revision,
                                                   std::stop_token stop = {}) const;

  const layers::Index& index_;
  const Timeline& timeline_;
  const records::Keys keys_;
  UsageMemory& memory_;
};

}  // namespace strata::views

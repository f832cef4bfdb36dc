// imagelayers as lists and watches read them: under the keys of their images, as those were at a
// revision, and what changed them since: by the image, by streams that name it, by lists that it is
// in, by what it is built on.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "server/layers/index.h"
#include "server/views/relations.h"
#include "server/views/timeline.h"
#include "storage/records/keys.h"
#include "storage/replica/history.h"

namespace strata::views {

// Its records encode ImageLayers without their revision, which is that of the change, and in a list
// the list's. Who reads it sees everything.
//
// Thread-safe. It never waits. Whoever comes first looks at every image and every stream; what they
// are to each other is remembered by the timeline, and made of that for other revisions.
class ImageHistory final : public replica::History {
 public:
  // All outlive it. The timeline observes the index.
  ImageHistory(const layers::Index& index, Timeline& timeline, const records::Keys& keys)
      : index_(index), timeline_(timeline), keys_(keys) {}

  base::Revision oldest() const override { return timeline_.oldest(); }
  uint64_t epoch() const override { return timeline_.epoch(); }
  base::StatusOr<replica::Page> Read(const replica::Selection& selection) const override;
  base::StatusOr<std::optional<records::Change>> Find(const records::Id& id,
                                                      base::Revision revision,
                                                      base::MonotonicTime deadline) const override;
  base::StatusOr<base::Revision> Changes(
      const replica::Interval& interval,
      absl::FunctionRef<void(replica::Event event)> visit) const override;

  // How often everything was looked at.
  uint64_t looks() const { return looks_.load(std::memory_order_relaxed); }

 private:
  base::StatusOr<Relations> RelationsOf(const layers::Reading& reading) const;
  // Returns the bytes of what was visited.
  base::StatusOr<size_t> VisitStep(const layers::Step& step, const replica::Interval& interval,
                                   absl::FunctionRef<void(replica::Event event)> visit) const;

  const layers::Index& index_;
  Timeline& timeline_;
  const records::Keys keys_;
  mutable std::atomic<uint64_t> looks_ = 0;
};

}  // namespace strata::views

// imagestreamlayers as lists and watches read them: under the keys of their streams, as those were
// at a revision, and what changed them since, by the stream or by an image.
#pragma once

#include <optional>

#include "server/layers/index.h"
#include "server/views/timeline.h"
#include "storage/records/keys.h"
#include "storage/replica/history.h"

namespace strata::views {

// Its records are messages of the views: what `object` encodes is an ImageStreamLayers without its
// revision, which is that of the change. A stream that can't be read is an unreadable one; who
// lists leaves it out, and who watches is told that it is gone.
//
// Thread-safe. It never waits, but what it makes takes as long as it is large.
class StreamHistory final : public replica::History {
 public:
  // All outlive it. The timeline observes the index.
  StreamHistory(const layers::Index& index, const Timeline& timeline, const records::Keys& keys)
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

 private:
  records::Change ViewOf(const layers::Reading& reading, const layers::StreamPointer& stream) const;
  // Returns the bytes of what was visited.
  base::StatusOr<size_t> VisitStep(const layers::Step& step, const replica::Interval& interval,
                                   absl::FunctionRef<void(replica::Event event)> visit) const;

  const layers::Index& index_;
  const Timeline& timeline_;
  const records::Keys keys_;
};

}  // namespace strata::views

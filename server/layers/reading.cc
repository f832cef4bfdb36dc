#include "server/layers/reading.h"

#include "server/layers/walk.h"

namespace strata::layers {

base::StatusOr<Gathered> Gather(const Reading& reading, const StreamPointer& stream) {
  if (!stream->usable()) return Unreadable(stream->unreadable());
  constexpr size_t kSteps = 4096;
  Walk walk(stream, reading.max_entries);
  for (;;) {
    switch (walk.Step(kSteps, reading.records.images)) {
      case Walk::State::kDone:
        return walk.TakeGathered();
      case Walk::State::kTooLarge:
        return base::DataLossError(TooLarge(reading.max_entries));
      case Walk::State::kMore:
        if (reading.stop.stop_requested()) return base::CancelledError("nobody waits any more");
    }
  }
}

}  // namespace strata::layers

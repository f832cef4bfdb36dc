#include "storage/engine/health.h"

#include <fmt/format.h>

#include <utility>

namespace strata::engine {

base::Status Health::failure() const {
  absl::MutexLock lock(&mu_);
  return failure_;
}

base::Status Health::room() const {
  absl::MutexLock lock(&mu_);
  return room_;
}

void Health::Fail(base::Status why) {
  absl::MutexLock lock(&mu_);
  failure_ = std::move(why);
  failed_.store(true, std::memory_order_release);
}

base::Status Health::DiskFailed(const base::Status& why) {
  log_.Error("The disk failed; writes are refused until a restart", {{"error", why}});
  base::Status failure = base::UnavailableError(
      fmt::format("etcdserver: the store's disk failed: {}", base::Message(why)));
  Fail(failure);
  return failure;
}

void Health::NoteRoom(base::Status room) {
  if (room.ok() && !lacks_room_) return;
  lacks_room_ = !room.ok();
  base::Status before;
  {
    absl::MutexLock lock(&mu_);
    before = std::exchange(room_, room);
  }
  if (before.ok()) {
    log_.Warning("No space left: writes are refused until there is", {{"why", room}});
  } else if (room.ok()) {
    log_.Info("There is space again: writes are taken", {{"was", before}});
  }
}

}  // namespace strata::engine

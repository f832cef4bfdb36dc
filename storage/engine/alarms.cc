#include "storage/engine/alarms.h"

namespace strata::engine {

bool Alarms::Set(Alarm alarm, bool on) {
  const auto bit = static_cast<uint32_t>(alarm);
  const uint32_t before = on ? bits_.fetch_or(bit) : bits_.fetch_and(~bit);
  return ((before & bit) != 0) != on;
}

void Alarms::NoteDamage(const base::Status& why) {
  const auto bit = static_cast<uint32_t>(Alarm::kCorrupt);
  if ((bits_.fetch_or(bit) & bit) != 0) return;
  log_.Error("The store is damaged; restore it from a snapshot. What isn't damaged is served on",
             {{"err", why}});
}

}  // namespace strata::engine

#include "storage/engine/alarms.h"

namespace strata::engine {
namespace {

obs::Gauge GaugeOf(obs::Metrics& metrics, const char* alarm) {
  return metrics.AddGauge("strata_store_alarm", "Whether the alarm is on.", {{"alarm", alarm}});
}

}  // namespace

Alarms::Alarms(const obs::Logger& log, obs::Metrics& metrics)
    : log_(log), no_space_(GaugeOf(metrics, "NOSPACE")), corrupt_(GaugeOf(metrics, "CORRUPT")) {}

void Alarms::Write(uint32_t bits) {
  no_space_.Set((bits & static_cast<uint32_t>(Alarm::kNoSpace)) != 0 ? 1 : 0);
  corrupt_.Set((bits & static_cast<uint32_t>(Alarm::kCorrupt)) != 0 ? 1 : 0);
  bits_ = bits;
}

void Alarms::Restore(int64_t bits) {
  absl::MutexLock lock(&mu_);
  Write(static_cast<uint32_t>(bits));
}

bool Alarms::Set(Alarm alarm, bool on) {
  const auto bit = static_cast<uint32_t>(alarm);
  absl::MutexLock lock(&mu_);
  if (this->on(alarm) == on) return false;
  Write(bits_ ^ bit);
  return true;
}

void Alarms::NoteDamage(const base::Status& why) {
  if (!Set(Alarm::kCorrupt, true)) return;
  log_.Error("The store is damaged; restore it from a snapshot. What isn't damaged is served on",
             {{"err", why}});
}

}  // namespace strata::engine

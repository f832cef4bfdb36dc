// Any Accept header, of each kind of endpoint: what is accepted plainly is accepted with transforms
// too, and nobody gets a form that isn't offered.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "server/wire/negotiate.h"

namespace {

using namespace strata::wire;

void Check(const Representation& chosen) {
  if (chosen.pretty && chosen.type != MediaType::kJson) std::abort();
  if (chosen.transform == Transform::kTable && chosen.type == MediaType::kProtobuf) std::abort();
  if (chosen.beta && chosen.transform == Transform::kNone) std::abort();
  if (ContentType(chosen.type).empty()) std::abort();
}

void CheckObject(const Preference& preference, const Negotiation& result) {
  if (result.refusal == Refusal::kConversion && NegotiatePlain(preference)) std::abort();
  if (result.refusal != Refusal::kNone) return;
  Check(result.representation);
  if (result.representation.transform == Transform::kGroupDiscovery) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Preference preference{{reinterpret_cast<const char*>(data), size}, "curl/7", {}};
  const Negotiation result = Negotiate(preference);
  CheckObject(preference, result);
  if (result.representation.transform == Transform::kTable) std::abort();
  const Negotiation with_tables = Negotiate(preference, TableConversions());
  CheckObject(preference, with_tables);
  if (result.refusal == Refusal::kNone && with_tables.refusal != Refusal::kNone) std::abort();
  if (const auto plain = NegotiatePlain(preference)) {
    Check(*plain);
    if (plain->transform != Transform::kNone) std::abort();
  }
  if (const auto groups = NegotiateGroups(preference)) {
    Check(*groups);
    if (groups->transform != Transform::kNone && groups->transform != Transform::kGroupDiscovery)
      std::abort();
  }
  return 0;
}

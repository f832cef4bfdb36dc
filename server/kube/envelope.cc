#include "server/kube/envelope.h"

namespace strata::kube {

bool OpenEnvelope(std::string_view bytes, k8s::io::apimachinery::pkg::runtime::Unknown& unknown) {
  constexpr std::string_view kMagic("k8s\0", 4);
  if (!bytes.starts_with(kMagic)) return false;
  bytes.remove_prefix(kMagic.size());
  return unknown.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

}  // namespace strata::kube

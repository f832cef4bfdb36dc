// Any bytes as an --rbac-file: reading must return an error or objects that make a policy.
#include <cstdint>
#include <string_view>

#include "server/auth/rbac.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace strata;
  auth::RbacObjects objects;
  if (!auth::AddRbacObjects({reinterpret_cast<const char*>(data), size}, "fuzz", objects).ok())
    return 0;
  const auth::Policy policy(objects);
  policy.Decide({"u", "", {"g"}, {}},
                *api::ParseRequestInfo("GET", "/apis/g/v1/namespaces/ns/r/n/s"));
  return 0;
}

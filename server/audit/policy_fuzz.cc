// Any bytes as an audit policy: reading must return, and what was read must decide.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "server/audit/policy.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto policy = strata::audit::Policy::Parse({reinterpret_cast<const char*>(data), size});
  if (policy.ok()) {
    static const auto info = strata::api::ParseRequestInfo(
        "GET", "/apis/image.openshift.io/v1/namespaces/ns/imagestreams/app/layers");
    (void)policy->Evaluate({"alice", "", {"devs"}, {}}, *info);
  }
  return 0;
}

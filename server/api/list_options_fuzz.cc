// Any query of a list or a watch: it is understood, or refused for a reason that can be said in
// JSON.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <variant>

#include "lib/codec/json_syntax.h"
#include "server/api/headers.h"
#include "server/api/list_options.h"
#include "server/registry/image_v1.h"

namespace {

using namespace strata;

void CheckError(const api::Error& error) {
  const http::Response response = api::ToResponse(error, {});
  if (response.status < 400 || response.body == nullptr ||
      !codec::JsonProblem(*response.body).empty())
    std::abort();
}

void CheckOptions(const api::ListOptions& options) {
  using Read = api::ListOptions::Read;
  if (options.limit < 0 || options.revision < 0) std::abort();
  if (options.read == Read::kExact && options.revision == 0) std::abort();
  if (!options.watch && (options.initial_events || options.timeout)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string query(reinterpret_cast<const char*>(data), size);
  (void)api::TraceId(query);
  for (const char* path : {"/apis/image.openshift.io/v1/imagestreams?",
                           "/apis/image.openshift.io/v1/namespaces/ns/imagestreams?watch=1&"}) {
    const auto info = api::ParseRequestInfo("GET", path + query);
    if (!info) continue;
    const auto options = api::ParseListOptions(*info, registry::ImageStreams());
    if (const auto* error = std::get_if<api::Error>(&options)) {
      CheckError(*error);
    } else {
      CheckOptions(std::get<api::ListOptions>(options));
    }
  }
  return 0;
}

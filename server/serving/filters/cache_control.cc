#include "server/serving/filters/cache_control.h"

#include <string>
#include <string_view>

#include "server/serving/served_call.h"

namespace strata::serving::filters {
namespace {

std::string_view Of(std::string_view path) {
  for (const std::string_view prefix :
       {"/openapi/", "/swagger-2.0.0.json", "/swagger-2.0.0.pb-v1", "/swagger.json", "/swaggerapi"})
    if (path.starts_with(prefix)) return "no-cache, private";
  return "no-store";
}

}  // namespace

void CacheControl::Begin(ServedCall& call, http::Response& response) {
  if (response.headers.Find("cache-control") == nullptr)
    response.headers.AddFirst("cache-control", std::string(Of(call.info->path)));
}

}  // namespace strata::serving::filters

// Any headers, a line each: what they say of whose request it is can be told, and once they are
// stripped nothing of it is left.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "lib/base/ascii.h"
#include "server/auth/authenticator.h"
#include "server/auth/impersonation.h"
#include "server/auth/request_header.h"

namespace {

using namespace strata;

http::Headers HeadersOf(std::string_view lines) {
  http::Headers headers;
  while (!lines.empty()) {
    std::string_view line = base::TakeUntil('\n', lines);
    const std::string_view name = base::TakeUntil(':', line);
    headers.Add(base::Lower(name), std::string(line));
  }
  return headers;
}

void CheckImpersonation(const http::Headers& headers) {
  const auto wanted = auth::FindImpersonation(headers);
  if (!wanted.ok()) {
    if (base::Message(wanted.status()).empty()) std::abort();
    return;
  }
  if (!wanted->has_value()) return;
  // Whoever is somebody else needs a right for each part of it.
  const auto& user = *(*wanted)->user;
  size_t parts = user.name.empty() ? 0 : 1;
  parts += user.uid.empty() ? 0 : 1;
  for (const auto& [key, values] : user.extra) parts += values.size();
  parts += headers.All("impersonate-group").size();
  if (user.name.empty() || (*wanted)->needed.size() != parts) std::abort();
  for (const auto& needed : (*wanted)->needed)
    if (needed.verb != "impersonate" || !needed.is_resource) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  http::Headers headers = HeadersOf({reinterpret_cast<const char*>(data), size});
  (void)auth::FindBearerToken(headers);
  CheckImpersonation(headers);
  for (const http::Header& header : headers) (void)auth::UnescapeExtraKey(header.name);
  auth::StripCredentials(headers);
  if (!auth::FindBearerToken(headers).token.empty()) std::abort();
  for (const http::Header& header : headers) {
    if (header.name.starts_with("x-remote-") || header.name.starts_with("impersonate-") ||
        header.name == "authorization")
      std::abort();
  }
  return 0;
}

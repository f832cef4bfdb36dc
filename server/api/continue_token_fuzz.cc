// Any text as a token, and the same as the JSON within one: a key that is accepted never leaves its
// prefix, and is accepted again.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "lib/base/bytes.h"
#include "lib/codec/json_syntax.h"
#include "lib/codec/json_text.h"
#include "server/api/continue_token.h"

namespace {

void Check(std::string_view token) {
  const auto point = strata::api::ParseContinue(token);
  if (!point.ok()) return;
  if (("/" + point->start + "/").find("/../") != std::string::npos) std::abort();
  if (point->start.empty()) return;
  const auto again = strata::api::ParseContinue(strata::api::ContinueInconsistently(point->start));
  if (!again.ok() || again->start != point->start) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Check(text);
  Check(strata::base::ToBase64Url(text));
  std::string compact;
  const bool valid = strata::codec::AppendCompact(text, compact);
  if (valid != strata::codec::JsonProblem(text).empty()) std::abort();
  return 0;
}

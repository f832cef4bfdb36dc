// Whatever a request and its user are called: their line of the audit log is one line of JSON, and
// no longer than it may be.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "lib/codec/json_syntax.h"
#include "server/api/request_info.h"
#include "server/audit/event.h"
#include "test/fuzz/input.h"

namespace {

using namespace strata;

constexpr size_t kMostBytes = 170'000;  // docs/architecture.md, Memory

auth::UserInfo UserOf(fuzz::Input& input) {
  auth::UserInfo user{std::string(input.Text()), std::string(input.Text()), {}, {}};
  for (int i = input.Byte() % 4; i > 0; --i) user.groups.emplace_back(input.Text());
  for (int i = input.Byte() % 4; i > 0; --i)
    user.extra[std::string(input.Text())].emplace_back(input.Text());
  return user;
}

// Where a text is cut can't be seen in a short one.
std::string Repeated(std::string_view text, size_t times) {
  std::string all;
  for (; times > 0; --times) all += text;
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  const size_t times = 1 + (input.Byte() & 0x3f) * 16;
  http::Request request;
  request.method = std::string(input.Text());
  request.target = Repeated(input.Text(), times);
  request.headers.Add("user-agent", Repeated(input.Text(), times));
  request.headers.Add("x-forwarded-for", Repeated(input.Text(), times));
  request.peer = std::make_shared<const http::Peer>(http::Peer{"192.0.2.1:1", {}});
  const auto info = api::ParseRequestInfo(request.method, request.target);
  if (!info) return 0;
  const auth::UserInfo user = UserOf(input), impersonated = UserOf(input);
  const std::string description =
      audit::Describe(request, *info, user.name.empty() ? nullptr : &user,
                      impersonated.name.empty() ? nullptr : &impersonated);
  audit::Event event{.audit_id = input.Text(), .description = description, .code = 200};
  event.stage = audit::Stage::kResponseComplete;
  event.decision = "allow";
  event.reason = input.Text();
  std::string line;
  audit::AppendLine(event, line);
  if (line.size() > kMostBytes || !line.ends_with('\n')) std::abort();
  line.pop_back();
  if (line.find('\n') != line.npos || !codec::JsonProblem(line).empty()) std::abort();
  return 0;
}

#include "server/handlers/freshness.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

namespace strata::handlers {
namespace {

// strconv.ParseUint(…, 10, 64).
struct AskedRevision {
  base::Revision value = 0;
  bool syntax_error = false;
  bool out_of_range = false;
};

AskedRevision ParseRevision(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::invalid_argument || end != text.data() + text.size())
    return {.syntax_error = true};
  if (error == std::errc::result_out_of_range) return {.out_of_range = true};
  if (value > static_cast<uint64_t>(INT64_MAX)) return {.value = INT64_MAX};
  return {.value = static_cast<base::Revision>(value)};
}

}  // namespace

void Freshness::Wait(std::shared_ptr<Call> call, std::function<void(std::shared_ptr<Call>)> then) {
  const std::string_view text = call->info.query.Get("resourceVersion");
  const AskedRevision asked = text.empty() ? AskedRevision{} : ParseRevision(text);
  if (asked.syntax_error || asked.out_of_range) {
    return call->Fail(api::InvalidResourceVersion(text, asked.out_of_range));
  }
  // Completions come on the barrier's threads; the look-up and the answer belong to the
  // connection's.
  auto answer = [this, call, then = std::move(then)](base::StatusOr<base::Revision> fresh) {
    call->Post([this, call, then, status = fresh.status()] {
      if (status.ok()) {
        then(call);
      } else {
        Refuse(*call, status);
      }
    });
  };
  if (text.empty()) return barrier_.WaitFresh(call->deadline, std::move(answer));
  barrier_.WaitFor(asked.value, std::min(call->deadline, clock_.Now() + kNamedRevisionTimeout),
                   std::move(answer));
}

void Freshness::Refuse(Call& call, const base::Status& status) {
  switch (status.code()) {
    case base::StatusCode::kFailedPrecondition:
      return call.Fail(api::ServerTimeout());
    case base::StatusCode::kOutOfRange:
      return call.Fail(
          api::TooLargeResourceVersion(call.info.query.Get("resourceVersion"), barrier_.current()));
    case base::StatusCode::kDeadlineExceeded:
      return call.Fail(api::RequestTimeout());
    case base::StatusCode::kResourceExhausted:
      return call.Fail(api::TooManyRequests());
    default:
      return call.Fail(api::StorageTimeout("the storage backend can't be read"));
  }
}

}  // namespace strata::handlers

#include "server/endpoints/seeker.h"

#include <string_view>
#include <utility>

#include "server/api/number.h"

namespace strata::endpoints {
namespace {

// A stream, its image, which is a list, and what that lists are found one after the other. What is
// found and doesn't come would be sought without end.
constexpr int kMostSearches = 8;

api::Error Unknown() {
  return api::StorageTimeout("the storage backend can't be read");
}

}  // namespace

bool Seeker::NeededFor(const Call& call) const {
  if (!source_.may_miss()) return false;
  const std::string_view asked = call.info->query.Get("resourceVersion");
  return asked.empty() || api::ParseResourceVersion(asked).value_or(0) != 0;
}

void Seeker::Seek(const std::shared_ptr<Call>& call, const std::vector<records::Id>& ids,
                  FreshHandler& handler, std::function<void()> then) const {
  if (call->searches++ == kMostSearches) return call->Fail(Unknown());
  const auto sought = [call, &handler, then = std::move(then)](const base::StatusOr<bool>& found) {
    call->Post([call, &handler, then, found] {
      call->Guard([&] {
        if (found.ok()) return *found ? handler.ServeFresh(call) : then();
        call->Fail(found.status().code() == base::StatusCode::kResourceExhausted
                       ? api::TooManyRequests()
                       : Unknown());
      });
    });
  };
  source_.Seek(ids, call->user->name, sought);
}

}  // namespace strata::endpoints

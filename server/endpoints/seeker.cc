#include "server/endpoints/seeker.h"

#include <utility>

namespace strata::endpoints {

void Seeker::Seek(const std::shared_ptr<Call>& call, const std::vector<records::Id>& ids,
                  FreshHandler& handler, std::function<void()> then) const {
  source_.Seek(ids, [call, &handler, then = std::move(then)](const base::StatusOr<bool>& found) {
    call->Post([call, &handler, then, found] {
      call->Guard([&] {
        if (found.ok()) return *found ? handler.ServeFresh(call) : then();
        call->Fail(found.status().code() == base::StatusCode::kResourceExhausted
                       ? api::TooManyRequests()
                       : api::StorageTimeout("the storage backend can't be read"));
      });
    });
  });
}

}  // namespace strata::endpoints

#include "server/endpoints/seeker.h"

#include <utility>

namespace strata::endpoints {

void Seeker::Seek(const std::shared_ptr<Call>& call, const std::vector<records::Id>& ids,
                  std::function<void(bool found)> then) const {
  source_.Seek(ids, [call, then = std::move(then)](const base::StatusOr<bool>& found) {
    call->Post([call, then, found] {
      call->Guard([&] {
        if (found.ok()) return then(*found);
        call->Fail(found.status().code() == base::StatusCode::kResourceExhausted
                       ? api::TooManyRequests()
                       : api::StorageTimeout("the storage backend can't be read"));
      });
    });
  });
}

}  // namespace strata::endpoints

#include "server/endpoints/freshness.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "server/api/number.h"

namespace strata::endpoints {
namespace {

constexpr size_t kUsualGroup = 32;  // calls

}  // namespace

void Freshness::Wait(std::shared_ptr<Call> call, FreshHandler& handler) {
  const std::string_view text = call->info->query.Get("resourceVersion");
  if (text.empty()) return WaitForNewest(std::move(call), handler);
  const auto parsed = api::ParseResourceVersion(text);
  if (!parsed.ok()) return call->Fail(api::InvalidResourceVersion(parsed.status()));
  const auto asked = static_cast<base::Revision>(std::min<uint64_t>(*parsed, INT64_MAX));
  WaitForRevision(std::move(call), handler, asked, std::to_string(*parsed));
}

void Freshness::WaitForNewest(std::shared_ptr<Call> call, FreshHandler& handler) {
  Join({std::move(call), &handler});
}

void Freshness::WaitForRevision(std::shared_ptr<Call> call, FreshHandler& handler,
                                base::Revision revision, std::string asked,
                                reflector::Barrier::Origin origin) {
  if (revision > barrier_.Come(origin) && !call->BeginRevisionWait())
    return call->Fail(api::TooManyRequests());
  const auto deadline = std::min(call->deadline, clock_.Now() + kNamedRevisionTimeout);
  barrier_.WaitFor(
      revision, deadline,
      [this, waiting = Waiting{std::move(call), &handler, std::move(asked), origin}](
          const base::StatusOr<base::Revision>& fresh) {
        // Completions come on the barrier's threads.
        waiting.call->Post([this, waiting, status = fresh.status()] {
          if (status.ok() && !waiting.call->EndRevisionWait())
            return waiting.call->Fail(api::TooManyRequests());
          GoOn(waiting, status);
        });
      },
      origin);
}

void Freshness::Join(Waiting waiting) {
  const std::shared_ptr<Call> call = waiting.call;
  std::shared_ptr<Group> group;
  {
    base::MutexLock lock(&mu_);
    std::weak_ptr<Group>& slot = open_[std::this_thread::get_id()];
    if (const auto open = slot.lock(); open != nullptr && call->deadline >= open->deadline &&
                                       call->deadline - open->deadline < kSameDeadline) {
      open->calls.push_back(std::move(waiting));
      return;
    }
    group = std::make_shared<Group>(Group{call->deadline, {}});
    group->calls.reserve(kUsualGroup);
    group->calls.push_back(std::move(waiting));
    slot = group;
  }
  call->Post([this, group = std::move(group)]() mutable { Send(std::move(group)); });
}

// At the end of the turn: whatever comes from now on is of another group.
void Freshness::Send(std::shared_ptr<Group> group) {
  {
    base::MutexLock lock(&mu_);
    std::weak_ptr<Group>& slot = open_[std::this_thread::get_id()];
    if (slot.lock() == group) slot.reset();
  }
  Group& sent = *group;
  barrier_.WaitFresh(
      sent.deadline,
      [this, group = std::move(group)](const base::StatusOr<base::Revision>& fresh) {
        group->calls.front().call->Post([this, group, status = fresh.status()] {
          for (const Waiting& waiting : group->calls)
            waiting.call->Guard([&] { GoOn(waiting, status); });
        });
      },
      sent.calls.size());
}

void Freshness::GoOn(const Waiting& waiting, const base::Status& status) {
  if (!status.ok()) return waiting.handler->Refuse(waiting.call, ErrorOf(waiting, status));
  waiting.handler->ServeFresh(waiting.call);
}

api::Error Freshness::ErrorOf(const Waiting& waiting, const base::Status& status) const {
  switch (status.code()) {
    case base::StatusCode::kFailedPrecondition:
      return api::ServerTimeout(*waiting.call->resource);
    case base::StatusCode::kOutOfRange:
      return api::TooLargeResourceVersion(waiting.asked, barrier_.Come(waiting.origin));
    case base::StatusCode::kDeadlineExceeded:
      return api::RequestTimeout();
    case base::StatusCode::kResourceExhausted:
      return api::TooManyRequests();
    default:
      return api::StorageTimeout("the storage backend can't be read");
  }
}

}  // namespace strata::endpoints

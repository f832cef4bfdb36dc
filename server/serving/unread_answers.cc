#include "server/serving/unread_answers.h"

#include <atomic>
#include <utility>

namespace strata::serving {
namespace {

constexpr size_t kLargeBody = 64 << 10;
constexpr size_t kAlwaysAdmitted = 4 << 10;
constexpr size_t kSparePart = 64;

}  // namespace

// Outlives the owner while bodies are held.
struct UnreadAnswers::Books {
  explicit Books(const base::Limit& max_bytes)
      : limit(max_bytes), room(max_bytes), spare(max_bytes.most() / kSparePart) {}

  int64_t taken() const { return room.taken() + spare.taken(); }
  bool IsMemoryShort() const { return limit.Of(0) < limit.most(); }

  const base::Limit limit;
  base::Shares room;
  // While memory is short, for small answers: who reads them isn't to be refused for who doesn't.
  base::Shares spare;
  std::atomic<uint64_t> refused = 0;
  base::Mutex mu;
  absl::flat_hash_map<const std::string*, std::weak_ptr<const Counted>> large ABSL_GUARDED_BY(mu);
};

struct UnreadAnswers::Counted {
  Counted(std::shared_ptr<Books> in, Body counted, base::Shares::Share of_room)
      : books(std::move(in)), body(std::move(counted)), share(std::move(of_room)) {}
  ~Counted() {
    if (body->size() < kLargeBody) return;
    base::MutexLock lock(&books->mu);
    const auto found = books->large.find(body.get());
    // Meanwhile somebody may have begun to send it anew.
    if (found != books->large.end() && found->second.expired()) books->large.erase(found);
  }

  static Body AsBody(const std::shared_ptr<const Counted>& counted) {
    return Body(counted, counted->body.get());
  }

  const std::shared_ptr<Books> books;
  const Body body;
  const base::Shares::Share share;
};

UnreadAnswers::UnreadAnswers(const base::Limit& max_bytes, const base::Clock& clock,
                             obs::Metrics& metrics)
    : books_(std::make_shared<Books>(max_bytes)), readers_(std::make_shared<SlowReaders>(clock)) {
  metrics.AddGaugeFunction("strata_http_unread_response_bytes",
                           "Bytes of answers that clients haven't read yet.", {},
                           [books = books_] { return static_cast<double>(books->taken()); });
  metrics.AddCounterFunction(
      "strata_http_responses_without_room_total",
      "Answers replaced by 429 because clients don't read those that they have.", {},
      [books = books_] { return static_cast<double>(books->refused.load()); });
  metrics.AddCounterFunction("strata_http_readers_cut_total",
                             "Slow readers whose answer was given up to make room for others'.", {},
                             [readers = readers_] { return static_cast<double>(readers->cut()); });
}

UnreadAnswers::Body UnreadAnswers::Admit(Body body, std::string_view user,
                                         base::Shares::Claim claim) {
  const auto size = static_cast<int64_t>(body->size());
  // Freed without the lock, which their ends take.
  std::shared_ptr<const Counted> counted;
  const auto count = [&](base::Shares::Claim as) {
    auto share = books_->room.Take(user, as, size);
    if (!share && body->size() < kLargeBody && books_->IsMemoryShort())
      share = books_->spare.Take(user, as, size);
    if (share) counted = std::make_shared<const Counted>(books_, body, *std::move(share));
  };
  if (body->size() <= kAlwaysAdmitted) {
    count(base::Shares::Claim::kExempt);
  } else if (body->size() < kLargeBody) {
    count(claim);
  } else {
    base::MutexLock lock(&books_->mu);
    auto& known = books_->large[body.get()];
    counted = known.lock();
    if (counted == nullptr) {
      const bool alone = size > books_->room.limit() && books_->large.size() == 1;
      count(alone ? base::Shares::Claim::kExempt : claim);
      known = counted;
      if (counted == nullptr) books_->large.erase(body.get());
    }
  }
  if (counted != nullptr) return Counted::AsBody(counted);
  ++books_->refused;
  SlowReaders::CutSlowest(readers_);
  return nullptr;
}

}  // namespace strata::serving

#include "server/serving/unread_answers.h"

#include <utility>

namespace strata::serving {
namespace {

constexpr size_t kLargeBody = 64 << 10;
constexpr size_t kAlwaysAdmitted = 4 << 10;

}  // namespace

// Outlives the owner while bodies are held.
struct UnreadAnswers::Books {
  explicit Books(size_t max_bytes) : budget(max_bytes) {}

  http::ByteBudget budget;
  base::Mutex mu;
  absl::flat_hash_map<const std::string*, std::weak_ptr<const Counted>> large ABSL_GUARDED_BY(mu);
};

struct UnreadAnswers::Counted {
  Counted(std::shared_ptr<Books> in, Body counted)
      : books(std::move(in)), body(std::move(counted)) {}
  ~Counted() {
    books->budget.Give(body->size());
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
};

UnreadAnswers::UnreadAnswers(size_t max_bytes, const base::Clock& clock, obs::Metrics& metrics)
    : books_(std::make_shared<Books>(max_bytes)), readers_(std::make_shared<SlowReaders>(clock)) {
  metrics.AddGaugeFunction("strata_http_unread_response_bytes",
                           "Bytes of answers that clients haven't read yet.", {},
                           [books = books_] { return static_cast<double>(books->budget.used()); });
  metrics.AddCounterFunction(
      "strata_http_responses_without_room_total",
      "Answers replaced by 429 because clients don't read those that they have.", {},
      [books = books_] { return static_cast<double>(books->budget.refused()); });
  metrics.AddCounterFunction("strata_http_readers_cut_total",
                             "Slow readers whose answer was given up to make room for others'.", {},
                             [readers = readers_] { return static_cast<double>(readers->cut()); });
}

UnreadAnswers::Body UnreadAnswers::Admit(Body body) {
  const size_t size = body->size();
  if (size < kLargeBody) {
    if (size <= kAlwaysAdmitted) {
      books_->budget.Force(size);
    } else if (!books_->budget.Take(size)) {
      SlowReaders::CutSlowest(readers_);
      return nullptr;
    }
    return Counted::AsBody(std::make_shared<const Counted>(books_, std::move(body)));
  }
  // Freed without the lock, which their ends take.
  std::shared_ptr<const Counted> counted;
  {
    base::MutexLock lock(&books_->mu);
    auto& known = books_->large[body.get()];
    counted = known.lock();
    if (counted == nullptr) {
      const bool alone = size > books_->budget.limit() && books_->large.size() == 1;
      if (alone) books_->budget.Force(size);
      if (alone || books_->budget.Take(size)) {
        counted = std::make_shared<const Counted>(books_, body);
        known = counted;
      } else {
        books_->large.erase(body.get());
      }
    }
  }
  if (counted != nullptr) return Counted::AsBody(counted);
  SlowReaders::CutSlowest(readers_);
  return nullptr;
}

}  // namespace strata::serving

#include "server/layers/response_cache.h"

#include <algorithm>

#include "server/wire/gzip.h"

namespace strata::layers {
namespace {

// What malloc takes for an answer beside its body (list node, Encoded with its control block), for
// a stream that has any, and for one use with its share of users_.
constexpr size_t kAnswerOverhead = 264;
constexpr size_t kStreamOverhead = 160;
constexpr size_t kUseBytes = 60;

size_t SizeOf(const Encoded& answer) {
  size_t bytes = kAnswerOverhead + answer.body.capacity();
  for (const auto& texts : {&answer.warnings, &answer.missing})
    for (const std::string& text : *texts) bytes += sizeof(std::string) + text.capacity();
  return bytes;
}

size_t SizeOf(const Walk::Reach& reach) {
  return reach.capacity() * (sizeof(Walk::Reach::value_type) + 1);  // and a byte of control
}

}  // namespace

bool ResponseCache::Answer::Serves(const Form& wanted) const {
  if (encoded->is_refusal) return true;
  if (!(form.representation == wanted.representation)) return false;
  return form.gzip == wanted.gzip || (wanted.gzip && encoded->body.size() <= wire::kGzipThreshold);
}

std::shared_ptr<const Encoded> ResponseCache::Find(std::string_view stream,
                                                   const Form& form) const {
  const auto found = streams_.find(stream);
  if (found == streams_.end()) return nullptr;
  for (const auto& answer : (*found)->answers) {
    if (!answer->Serves(form)) continue;
    // Read before written, so that a hot answer's line stays shared between the cores.
    if (!answer->used.load(std::memory_order_relaxed)) {
      answer->used.store(true, std::memory_order_relaxed);
    }
    return answer->encoded;
  }
  return nullptr;
}

void ResponseCache::Insert(std::string_view stream, const Form& form,
                           std::shared_ptr<const Encoded> answer,
                           const std::vector<Gathered::Node>& images, Walk::Reach reach) {
  const bool chained = images.size() <= kChained;
  const size_t bytes = SizeOf(*answer);
  const size_t of_stream =
      kStreamOverhead + stream.size() + (chained ? images.size() * kUseBytes : SizeOf(reach));
  const size_t most = max_bytes_.Of(0), needed = bytes + of_stream;
  if (needed > most / 2 || Find(stream, form) != nullptr) return;
  // Memory is short. Twice as much goes, and nothing comes: what makes place may be held on by
  // clients who haven't read it yet.
  if (bytes_ > most) return EvictTo(std::max(most, bytes_ - 2 * needed));
  EvictTo(most - needed);
  auto found = streams_.find(stream);
  if (found == streams_.end()) {
    auto added = std::make_unique<Stream>();
    added->key = stream;
    added->bytes = of_stream;
    if (chained) {
      added->uses.reset(new Use[images.size()]);
      added->use_count = images.size();
      for (size_t i = 0; i < images.size(); ++i) {
        added->uses[i] = {images[i].name, added.get(), nullptr, nullptr};
        Link(added->uses[i]);
      }
    } else {
      added->reach = std::make_unique<const Walk::Reach>(std::move(reach));
      reaching_.push_back(added.get());
    }
    bytes_ += of_stream;
    found = streams_.insert(std::move(added)).first;
  }
  Stream& slot = **found;
  ring_.emplace_back(&slot, Form{form.representation, answer->gzipped}, std::move(answer), bytes);
  slot.answers.push_back(std::prev(ring_.end()));
  bytes_ += bytes;
}

void ResponseCache::Link(Use& use) {
  Use*& first = users_[use.image];
  use.next = first;
  if (first != nullptr) first->previous = &use;
  first = &use;
}

void ResponseCache::Unlink(Use& use) {
  if (use.next != nullptr) use.next->previous = use.previous;
  if (use.previous != nullptr) {
    use.previous->next = use.next;
  } else if (use.next != nullptr) {
    users_.find(use.image)->second = use.next;
  } else {
    users_.erase(use.image);
  }
}

void ResponseCache::DropAnswer(Ring::iterator answer) {
  if (hand_ == answer) ++hand_;
  bytes_ -= answer->bytes;
  dropped_.answers_.splice(dropped_.answers_.end(), ring_, answer);
}

void ResponseCache::Drop(Streams::iterator found) {
  Stream& stream = **found;
  for (const auto& answer : stream.answers) DropAnswer(answer);
  for (size_t i = 0; i < stream.use_count; ++i) Unlink(stream.uses[i]);
  bytes_ -= stream.bytes;
  if (stream.reach == nullptr) {
    streams_.erase(found);
    return;
  }
  std::erase(reaching_, &stream);
  dropped_.reaching_.push_back(std::move(streams_.extract(found).value()));
}

void ResponseCache::DropStream(std::string_view stream) {
  if (const auto found = streams_.find(stream); found != streams_.end()) Drop(found);
}

void ResponseCache::DropUsersOf(NameId image) {
  for (auto use = users_.find(image); use != users_.end(); use = users_.find(image)) {
    Drop(streams_.find(std::string_view(use->second->stream->key)));
  }
  for (size_t i = reaching_.size(); i-- > 0;) {
    if (reaching_[i]->reach->contains(image))
      Drop(streams_.find(std::string_view(reaching_[i]->key)));
  }
}

void ResponseCache::Clear() {
  dropped_.answers_.splice(dropped_.answers_.end(), ring_);
  dropped_.streams_ = std::exchange(streams_, {});
  dropped_.users_ = std::exchange(users_, {});
  reaching_.clear();
  hand_ = ring_.end();
  bytes_ = 0;
}

void ResponseCache::EvictTo(size_t bytes) {
  while (!ring_.empty() && bytes_ > bytes) {
    if (hand_ == ring_.end()) hand_ = ring_.begin();
    const auto victim = hand_++;
    if (victim->used.exchange(false, std::memory_order_relaxed)) continue;
    ++evictions_;
    Stream& stream = *victim->stream;
    if (stream.answers.size() == 1) {
      Drop(streams_.find(std::string_view(stream.key)));
    } else {
      std::erase(stream.answers, victim);
      DropAnswer(victim);
    }
  }
}

}  // namespace strata::layers

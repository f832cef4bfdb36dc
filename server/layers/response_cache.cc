#include "server/layers/response_cache.h"

#include <algorithm>

namespace strata::layers {
namespace {

// List node, iterator, control block and allocator overhead of one answer, and of a stream that has any.
constexpr size_t kAnswerOverhead = 160;
constexpr size_t kStreamOverhead = 200;
constexpr size_t kDependencyBytes = 28;  // an id in the stream's list, and its share of users_

}  // namespace

std::shared_ptr<const Encoded> ResponseCache::Find(std::string_view stream, const Form& form) const {
  const auto found = streams_.find(stream);
  if (found == streams_.end()) return nullptr;
  for (const auto& answer : found->second->answers) {
    if (answer->form == form) {
      // Read before written, so that a hot answer's line stays shared between the cores.
      if (!answer->used.load(std::memory_order_relaxed)) answer->used.store(true, std::memory_order_relaxed);
      return answer->encoded;
    }
  }
  return nullptr;
}

void ResponseCache::Insert(std::string_view stream, const Form& form, std::shared_ptr<const Encoded> answer,
                           const std::vector<Gathered::Node>& images) {
  const size_t bytes = answer->body.capacity() + kAnswerOverhead;
  const size_t dependencies = kStreamOverhead + 2 * stream.size() + images.size() * kDependencyBytes;
  if (bytes + dependencies > max_bytes_ / 2) return;
  EvictFor(bytes + dependencies);
  auto& slot = streams_[stream];
  if (slot == nullptr) {
    slot = std::make_unique<Stream>();
    slot->key = stream;
    slot->bytes = dependencies;
    bytes_ += dependencies;
    slot->images.reserve(images.size());
    for (const Gathered::Node& node : images) {
      slot->images.push_back(node.name);
      users_[node.name].push_back(slot.get());
    }
  }
  for (const auto& existing : slot->answers) {
    if (existing->form == form) return;
  }
  ring_.emplace_back(slot.get(), form, std::move(answer), bytes);
  slot->answers.push_back(std::prev(ring_.end()));
  bytes_ += bytes;
}

void ResponseCache::Drop(Stream& stream) {
  for (const auto& answer : stream.answers) {
    if (hand_ == answer) ++hand_;
    bytes_ -= answer->bytes;
    ring_.erase(answer);
  }
  for (const NameId image : stream.images) {
    const auto users = users_.find(image);
    // From the back, where DropUsersOf works.
    const auto user = std::find(users->second.rbegin(), users->second.rend(), &stream);
    *user = users->second.back();
    users->second.pop_back();
    if (users->second.empty()) users_.erase(users);
  }
  bytes_ -= stream.bytes;
  streams_.erase(streams_.find(stream.key));
}

void ResponseCache::DropStream(std::string_view stream) {
  const auto found = streams_.find(stream);
  if (found != streams_.end()) Drop(*found->second);
}

void ResponseCache::DropUsersOf(NameId image) {
  for (auto users = users_.find(image); users != users_.end(); users = users_.find(image)) {
    Drop(*users->second.back());
  }
}

void ResponseCache::Clear() {
  streams_.clear();
  users_.clear();
  ring_.clear();
  hand_ = ring_.end();
  bytes_ = 0;
}

void ResponseCache::EvictFor(size_t bytes) {
  while (!ring_.empty() && bytes_ + bytes > max_bytes_) {
    if (hand_ == ring_.end()) hand_ = ring_.begin();
    if (hand_->used.exchange(false, std::memory_order_relaxed)) {
      ++hand_;
      continue;
    }
    Stream& stream = *hand_->stream;
    const auto victim = hand_++;
    ++evictions_;
    if (stream.answers.size() == 1) {
      if (hand_ == victim) ++hand_;
      Drop(stream);
      continue;
    }
    bytes_ -= victim->bytes;
    std::erase(stream.answers, victim);
    ring_.erase(victim);
  }
}

}  // namespace strata::layers

// What was worked out for the newest questions.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <utility>

namespace strata::base {

// For one thread. Each question has one place, by its hash, and an answer stays until another
// question with that place is answered: `kPlaces` at most. How large what is kept may be is for
// whoever keeps it to say. An answer must depend on its question alone, so that none gets stale.
template <typename Question, typename Answer, size_t kPlaces>
class Memo {
 public:
  // Null if it isn't known. `same` says whether a kept question is the one that is asked.
  template <typename Same>
  std::shared_ptr<const Answer> Find(size_t hash, const Same& same) const {
    const Place& place = (*places_)[hash % kPlaces];
    return place.answer != nullptr && same(place.question) ? place.answer : nullptr;
  }
  void Keep(size_t hash, Question question, std::shared_ptr<const Answer> answer) {
    (*places_)[hash % kPlaces] = {std::move(question), std::move(answer)};
  }

 private:
  struct Place {
    Question question;
    std::shared_ptr<const Answer> answer;
  };
  // On the heap: a thread's own variables have little room.
  const std::unique_ptr<std::array<Place, kPlaces>> places_ =
      std::make_unique<std::array<Place, kPlaces>>();
};

}  // namespace strata::base

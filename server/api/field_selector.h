// Field selectors (k8s.io/apimachinery pkg/fields/selector.go): "metadata.name=a,spec.x!=b".
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"

namespace strata::api {

// What fields of an object must be. Immutable once parsed; copies share it.
class FieldSelector {
 public:
  struct Term {
    std::string field;
    bool equal = true;  // `=` and `==`, or `!=`
    std::string value;
  };

  // A match costs a comparison for each term, so a selector has so many at most. Upstream has no
  // bound.
  static constexpr size_t kMaxTerms = 100;

  // Demands nothing.
  FieldSelector() = default;
  // Demands that `field` is `value`.
  FieldSelector(std::string field, std::string value);

  // An error has upstream's text. Which fields there are is the resource's to say: FirstUnknown.
  static base::StatusOr<FieldSelector> Parse(std::string_view text);

  // Sorted by their text, as upstream has them: the first that is wrong is the one that is told.
  std::span<const Term> terms() const {
    return terms_ == nullptr ? std::span<const Term>() : std::span<const Term>(*terms_);
  }
  bool empty() const { return terms().empty(); }

  // `get(field)` is the object's value, "" if it has none.
  template <typename Get>
  bool Matches(const Get& get) const {
    for (const Term& term : terms()) {
      if ((get(term.field) == term.value) != term.equal) return false;
    }
    return true;
  }

  // The value that is demanded of `field` by the first term that demands one.
  std::optional<std::string> RequiresExactMatch(std::string_view field) const;

  // The first term's field that isn't in `known`; null if all are.
  const std::string* FirstUnknown(const std::vector<std::string>& known) const;

 private:
  explicit FieldSelector(std::vector<Term> terms);

  std::shared_ptr<const std::vector<Term>> terms_;  // null: none
};

}  // namespace strata::api

// Label selectors (k8s.io/apimachinery pkg/labels/selector.go): "app=a,tier in (x,y),!old,n>3".
#pragma once

#include <google/protobuf/map.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"

namespace strata::api {

// What all labels of an object must fulfil. Immutable once parsed; copies share it.
class LabelSelector {
 public:
  using Labels = google::protobuf::Map<std::string, std::string>;

  // A match costs a look-up for each requirement, so a selector has so many at most; and a few
  // bytes of a request are a value that is parsed before it is known whose it is, so that all its
  // sets have so many together, repeated ones too. Upstream has no bound.
  static constexpr size_t kMaxRequirements = 100;
  static constexpr size_t kMaxValues = 1'000;
  // An error names so many wrong values of a set at most, each with why.
  static constexpr size_t kMaxWrongValues = 100;

  // Demands nothing.
  LabelSelector() = default;

  // An error has upstream's text.
  static base::StatusOr<LabelSelector> Parse(std::string_view text);

  bool empty() const { return requirements_ == nullptr; }
  bool Matches(const Labels& labels) const;

 private:
  friend class LabelSelectorParser;

  enum class Operator { kIn, kNotIn, kExists, kDoesNotExist, kGreater, kLess };
  struct Requirement {
    std::string key;
    Operator op = Operator::kExists;
    std::vector<std::string> values = {};  // of kIn and kNotIn, sorted; `=` and `!=` have one
    int64_t bound = 0;                     // of kGreater and kLess
  };
  static bool Fulfils(const Requirement& requirement, const Labels& labels);

  std::shared_ptr<const std::vector<Requirement>> requirements_;  // null: none
};

}  // namespace strata::api

// A query string, as Go's url.ParseQuery reads it: pairs with a semicolon or a bad escape are
// dropped.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace strata::api {

class Query {
 public:
  Query() = default;
  explicit Query(std::string_view raw);

  bool empty() const { return pairs_.empty(); }
  // The first value of `name`.
  std::optional<std::string_view> Find(std::string_view name) const;
  // The same, empty if there is none.
  std::string_view Get(std::string_view name) const {
    return Find(name).value_or(std::string_view());
  }
  std::vector<std::string> All(std::string_view name) const;

 private:
  std::vector<std::pair<std::string, std::string>> pairs_;
};

// Decodes %XX, and `+` as a space if `plus`. Nothing if an escape is malformed.
std::optional<std::string> Unescape(std::string_view text, bool plus);

// A request's target as logs may tell it: without the values of access_token, however its name is
// written. That is where clients put a bearer token that can't set a header (RFC 6750 §2.3), though
// it gets nobody in here.
std::string WithoutToken(std::string_view target);

}  // namespace strata::api

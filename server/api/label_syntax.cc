#include "server/api/label_syntax.h"

#include <fmt/format.h>

#include <algorithm>

#include "lib/base/ascii.h"

namespace strata::api {
namespace {

constexpr size_t kMaxName = 63, kMaxSubdomain = 253;

constexpr std::string_view kNameRule =
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    "validation "
    "is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
constexpr std::string_view kValueRule =
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or "
    "'12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
constexpr std::string_view kSubdomainRule =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', "
    "and must start and end with an alphanumeric character (e.g. 'example.com', regex used for "
    "validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

bool IsLowerOrDigit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool IsAlphanumeric(char c) {
  return IsLowerOrDigit(base::LowerOf(c));
}

// Begins and ends with what is `inner`, and has only that or one of `also` between.
template <typename Inner>
bool HasForm(std::string_view text, Inner inner, std::string_view also) {
  return !text.empty() && inner(text.front()) && inner(text.back()) &&
         std::all_of(text.begin(), text.end(),
                     [&](char c) { return inner(c) || also.find(c) != std::string_view::npos; });
}

bool IsName(std::string_view text) {
  return HasForm(text, IsAlphanumeric, "-_.");
}

bool IsSubdomain(std::string_view text) {
  for (;;) {
    const size_t dot = text.find('.');
    if (!HasForm(text.substr(0, dot), IsLowerOrDigit, "-")) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

void Add(std::string& problems, std::string_view part, std::string_view problem) {
  fmt::format_to(std::back_inserter(problems), "{}{}{}", problems.empty() ? "" : "; ", part,
                 problem);
}

std::string TooLong(size_t most) {
  return fmt::format("must be no more than {} characters", most);
}

}  // namespace

std::string LabelKeyProblem(std::string_view key) {
  std::string problems;
  std::string_view name = key;
  if (const size_t slash = key.find('/'); slash != std::string_view::npos) {
    const std::string_view prefix = key.substr(0, slash);
    name = key.substr(slash + 1);
    if (name.find('/') != std::string_view::npos) {
      return fmt::format(
          "a qualified name {} with an optional DNS subdomain prefix and '/' (e.g. "
          "'example.com/MyName')",
          kNameRule);
    }
    if (prefix.empty()) {
      Add(problems, "prefix part ", "must be non-empty");
    } else {
      if (prefix.size() > kMaxSubdomain) Add(problems, "prefix part ", TooLong(kMaxSubdomain));
      if (!IsSubdomain(prefix)) Add(problems, "prefix part ", kSubdomainRule);
    }
  }
  if (name.empty()) {
    Add(problems, "name part ", "must be non-empty");
  } else if (name.size() > kMaxName) {
    Add(problems, "name part ", TooLong(kMaxName));
  }
  if (!IsName(name)) Add(problems, "name part ", kNameRule);
  return problems;
}

std::string LabelValueProblem(std::string_view value) {
  std::string problems;
  if (value.size() > kMaxName) Add(problems, "", TooLong(kMaxName));
  if (!value.empty() && !IsName(value)) Add(problems, "", kValueRule);
  return problems;
}

bool IsDns1123Label(std::string_view name) {
  return name.size() <= kMaxName && HasForm(name, IsLowerOrDigit, "-");
}

}  // namespace strata::api

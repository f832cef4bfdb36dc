#include "server/api/field_selector.h"

#include <algorithm>
#include <utility>

namespace strata::api {
namespace {

// Cuts the first term off `rest`: a comma ends it unless a backslash stands before.
std::string_view TakeTerm(std::string_view& rest) {
  size_t end = 0;
  for (bool escaped = false; end < rest.size(); ++end) {
    if (escaped) {
      escaped = false;
    } else if (rest[end] == '\\') {
      escaped = true;
    } else if (rest[end] == ',') {
      break;
    }
  }
  const std::string_view term = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return term;
}

// fields.UnescapeValue.
std::optional<std::string> UnescapeValue(std::string_view text) {
  std::string value;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ',' || text[i] == '=') return std::nullopt;
    if (text[i] == '\\') {
      if (++i == text.size() || (text[i] != '\\' && text[i] != ',' && text[i] != '='))
        return std::nullopt;
    }
    value += text[i];
  }
  return value;
}

}  // namespace

std::optional<std::string> RequiredValue(std::string_view selector, std::string_view field) {
  std::optional<std::string> required;
  while (!selector.empty()) {
    const std::string_view term = TakeTerm(selector);
    if (term.empty()) continue;
    // The first operator counts: `!=`, `==` or `=`; a `!` alone belongs to the field's name.
    const size_t equals = term.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    const bool differs = equals > 0 && term[equals - 1] == '!';
    const bool doubled = !differs && term.substr(equals + 1).starts_with('=');
    auto value = UnescapeValue(term.substr(equals + (doubled ? 2 : 1)));
    if (!value) return std::nullopt;
    if (!required && !differs && term.substr(0, equals) == field) required = std::move(value);
  }
  return required;
}

}  // namespace strata::api

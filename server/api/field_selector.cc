#include "server/api/field_selector.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "lib/base/utf8.h"

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

base::Status InvalidEscape(std::string_view sequence) {
  return base::InvalidArgumentError(
      fmt::format("invalid field selector: invalid escape sequence: {}", sequence));
}

// fields.UnescapeValue: what isn't UTF-8 stays only where there is nothing to look at.
base::StatusOr<std::string> UnescapeValue(std::string_view text) {
  if (text.find_first_of("\\,=") == std::string_view::npos) return std::string(text);
  const std::string valid = base::ToValidUtf8(text);
  std::string value;
  for (std::string_view rest = valid; !rest.empty(); rest.remove_prefix(1)) {
    if (rest[0] == ',' || rest[0] == '=') {
      return base::InvalidArgumentError(fmt::format(
          "invalid field selector: unescaped character in value: {}", static_cast<int>(rest[0])));
    }
    if (rest[0] == '\\') {
      const std::string_view escaped = rest.substr(1, base::Utf8Length(rest.substr(1)));
      if (escaped != "\\" && escaped != "," && escaped != "=")
        return InvalidEscape(rest.substr(0, 1 + escaped.size()));
      rest.remove_prefix(1);
    }
    value += rest[0];
  }
  return value;
}

}  // namespace

FieldSelector::FieldSelector(std::string field, std::string value)
    : FieldSelector(std::vector<Term>{{std::move(field), true, std::move(value)}}) {}

FieldSelector::FieldSelector(std::vector<Term> terms) {
  terms.shrink_to_fit();
  if (!terms.empty()) terms_ = std::make_shared<const std::vector<Term>>(std::move(terms));
}

base::StatusOr<FieldSelector> FieldSelector::Parse(std::string_view text) {
  std::vector<std::string_view> parts;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view part = TakeTerm(rest);
    if (!part.empty()) parts.push_back(part);
    if (parts.size() > kMaxTerms) {
      return base::InvalidArgumentError(
          fmt::format("invalid field selector: more than {} terms", kMaxTerms));
    }
  }
  std::sort(parts.begin(), parts.end());
  std::vector<Term> terms;
  for (const std::string_view part : parts) {
    // The first operator counts: `!=`, `==` or `=`; a `!` alone belongs to the field's name.
    const size_t equals = part.find('=');
    if (equals == std::string_view::npos) {
      return base::InvalidArgumentError(
          fmt::format("invalid selector: '{}'; can't understand '{}'", text, part));
    }
    const bool differs = equals > 0 && part[equals - 1] == '!';
    const bool doubled = !differs && part.substr(equals + 1).starts_with('=');
    STRATA_ASSIGN_OR_RETURN(std::string value,
                            UnescapeValue(part.substr(equals + (doubled ? 2 : 1))));
    const std::string_view field = part.substr(0, equals - (differs ? 1 : 0));
    // Nothing is demanded of nothing (Transform).
    if (field.empty() && value.empty()) continue;
    terms.push_back({std::string(field), !differs, std::move(value)});
  }
  return FieldSelector(std::move(terms));
}

std::optional<std::string> FieldSelector::RequiresExactMatch(std::string_view field) const {
  for (const Term& term : terms()) {
    if (term.equal && term.field == field) return term.value;
  }
  return std::nullopt;
}

const std::string* FieldSelector::FirstUnknown(const std::vector<std::string>& known) const {
  for (const Term& term : terms()) {
    if (std::find(known.begin(), known.end(), term.field) == known.end()) return &term.field;
  }
  return nullptr;
}

}  // namespace strata::api

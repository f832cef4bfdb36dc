#include "server/api/label_selector.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "server/api/label_syntax.h"
#include "server/api/number.h"
#include "server/api/quote.h"

namespace strata::api {
namespace {

struct Token {
  enum class Kind { kEnd, kWord, kSymbol };  // a symbol is an operator, a bracket or a comma
  Kind kind = Kind::kEnd;
  std::string_view text;

  bool is(std::string_view symbol) const { return kind == Kind::kSymbol && text == symbol; }
};

bool IsSymbol(char c) {
  return std::string_view("=!(),><").find(c) != std::string_view::npos;
}

bool IsSpace(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

// Lexer.Lex, one token at a time. Upstream takes a NUL for the end: before a token it is, behind
// one it is skipped.
class Lexer {
 public:
  explicit Lexer(std::string_view text) : rest_(text) {}

  Token Next() {
    while (!rest_.empty() && IsSpace(rest_[0])) rest_.remove_prefix(1);
    if (rest_.empty() || rest_[0] == '\0') {
      rest_ = {};
      return {};
    }
    size_t size = 1;
    const bool symbol = IsSymbol(rest_[0]);
    if (symbol) {
      if (rest_.starts_with("==") || rest_.starts_with("!=")) size = 2;
    } else {
      while (size < rest_.size() && rest_[size] != '\0' && !IsSymbol(rest_[size]) &&
             !IsSpace(rest_[size]))
        ++size;
    }
    const Token token = {symbol ? Token::Kind::kSymbol : Token::Kind::kWord, rest_.substr(0, size)};
    rest_.remove_prefix(size);
    if (rest_.starts_with('\0')) rest_.remove_prefix(1);
    return token;
  }

 private:
  std::string_view rest_;
};

template <typename... Args>
base::Status Refuse(fmt::format_string<Args...> format, Args&&... args) {
  return base::InvalidArgumentError(fmt::format(format, std::forward<Args>(args)...));
}

// field.ErrorList's ToAggregate.
base::Status Aggregate(const std::vector<std::string>& wrong) {
  if (wrong.size() == 1) return base::InvalidArgumentError(wrong[0]);
  return Refuse("[{}]", fmt::join(wrong, ", "));
}

}  // namespace

// Parser, by its functions' names. The words `in` and `notin` are operators only where one is
// expected.
class LabelSelectorParser {
 public:
  explicit LabelSelectorParser(std::string_view text) : lexer_(text), ahead_(lexer_.Next()) {}

  base::StatusOr<LabelSelector> Parse() {
    std::vector<Requirement> requirements;
    for (;;) {
      if (ahead_.kind == Token::Kind::kEnd) return SelectorOf(std::move(requirements));
      if (!AtRequirement())
        return Refuse("found '{}', expected: !, identifier, or 'end of string'", ahead_.text);
      auto requirement = ParseRequirement();
      if (!requirement.ok())
        return base::Annotate(requirement.status(), "unable to parse requirement");
      if (requirements.size() == LabelSelector::kMaxRequirements)
        return Refuse("more than {} requirements in a label selector",
                      LabelSelector::kMaxRequirements);
      requirements.push_back(*std::move(requirement));
      const Token behind = Consume();
      if (behind.kind == Token::Kind::kEnd) return SelectorOf(std::move(requirements));
      if (!behind.is(","))
        return Refuse("found '{}', expected: ',' or 'end of string'", behind.text);
      if (!AtRequirement())
        return Refuse("found '{}', expected: identifier after ','", ahead_.text);
    }
  }

 private:
  using Operator = LabelSelector::Operator;
  using Requirement = LabelSelector::Requirement;

  static LabelSelector SelectorOf(std::vector<Requirement> requirements) {
    LabelSelector selector;
    if (requirements.empty()) return selector;
    requirements.shrink_to_fit();
    selector.requirements_ =
        std::make_shared<const std::vector<Requirement>>(std::move(requirements));
    return selector;
  }

  Token Consume() { return std::exchange(ahead_, lexer_.Next()); }
  bool AtRequirement() const { return ahead_.kind == Token::Kind::kWord || ahead_.is("!"); }
  bool AtEndOfRequirement() const { return ahead_.kind == Token::Kind::kEnd || ahead_.is(","); }

  base::StatusOr<Requirement> ParseRequirement() {
    Requirement requirement;
    const bool absent = ahead_.is("!");
    if (absent) Consume();
    const Token key = Consume();
    if (key.kind != Token::Kind::kWord) return Refuse("found '{}', expected: identifier", key.text);
    if (const std::string problem = LabelKeyProblem(key.text); !problem.empty())
      return Refuse("<nil>: Invalid value: {}: {}", Quote(key.text), problem);
    requirement.key = key.text;
    if (absent || AtEndOfRequirement()) {
      requirement.op = absent ? Operator::kDoesNotExist : Operator::kExists;
      return requirement;
    }
    const Token op = Consume();
    STRATA_ASSIGN_OR_RETURN(requirement.op, OperatorOf(op));
    auto values = op.kind == Token::Kind::kWord ? ParseValues() : ParseExactValue();
    if (!values.ok()) return values.status();
    requirement.values = *std::move(values);
    STRATA_RETURN_IF_ERROR(Validate(requirement));
    return requirement;
  }

  static base::StatusOr<Operator> OperatorOf(const Token& token) {
    if (token.text == "in" || token.is("=") || token.is("==")) return Operator::kIn;
    if (token.text == "notin" || token.is("!=")) return Operator::kNotIn;
    if (token.is(">")) return Operator::kGreater;
    if (token.is("<")) return Operator::kLess;
    return Refuse("found '{}', expected: in, notin, =, ==, !=, gt, lt", token.text);
  }

  base::StatusOr<std::vector<std::string>> ParseValues() {
    if (const Token open = Consume(); !open.is("("))
      return Refuse("found '{}' expected: '('", open.text);
    if (ahead_.is(")")) {
      Consume();
      return std::vector<std::string>{""};
    }
    if (ahead_.kind != Token::Kind::kWord && !ahead_.is(","))
      return Refuse("found '{}', expected: ',', ')' or identifier", ahead_.text);
    return ParseIdentifiersList();
  }

  // Behind the bracket and up to the one that closes. What stands between commas may be nothing.
  base::StatusOr<std::vector<std::string>> ParseIdentifiersList() {
    std::vector<std::string_view> values;
    const auto too_many = [&] { return values_ + values.size() > LabelSelector::kMaxValues; };
    while (!too_many()) {
      const Token token = Consume();
      if (token.kind == Token::Kind::kWord) {
        values.emplace_back(token.text);
        if (!ahead_.is(",") && !ahead_.is(")"))
          return Refuse("found '{}', expected: ',' or ')'", ahead_.text);
      } else if (token.is(",")) {
        if (values.empty() || ahead_.is(")")) values.emplace_back();
        if (ahead_.is(",")) {
          Consume();
          values.emplace_back();
          continue;
        }
      } else {
        return Refuse("found '{}', expected: ',', or identifier", token.text);
      }
      if (!ahead_.is(")")) continue;
      if (too_many()) break;
      Consume();
      values_ += values.size();
      std::sort(values.begin(), values.end());
      values.erase(std::unique(values.begin(), values.end()), values.end());
      return std::vector<std::string>(values.begin(), values.end());
    }
    return Refuse("more than {} values in a label selector", LabelSelector::kMaxValues);
  }

  base::StatusOr<std::vector<std::string>> ParseExactValue() {
    if (AtEndOfRequirement()) return std::vector<std::string>{""};
    const Token value = Consume();
    if (value.kind != Token::Kind::kWord)
      return Refuse("found '{}', expected: identifier", value.text);
    return std::vector<std::string>{std::string(value.text)};
  }

  // NewRequirement: all that is wrong with the values, together.
  static base::Status Validate(Requirement& requirement) {
    std::vector<std::string> wrong;
    if (requirement.op == Operator::kGreater || requirement.op == Operator::kLess) {
      const auto bound = ParseInt(requirement.values[0]);
      if (bound.ok()) {
        requirement.bound = *bound;
      } else {
        wrong.push_back(
            fmt::format("values[0]: Invalid value: {}: for 'Gt', 'Lt' operators, the value must be "
                        "an integer",
                        Quote(requirement.values[0])));
      }
    }
    for (size_t i = 0; i < requirement.values.size(); ++i) {
      if (wrong.size() == LabelSelector::kMaxWrongValues) break;
      const std::string& value = requirement.values[i];
      if (const std::string problem = LabelValueProblem(value); !problem.empty()) {
        wrong.push_back(fmt::format("values[{}][{}]: Invalid value: {}: {}", i, requirement.key,
                                    Quote(value), problem));
      }
    }
    return wrong.empty() ? base::OkStatus() : Aggregate(wrong);
  }

  Lexer lexer_;
  Token ahead_;
  size_t values_ = 0;  // in the brackets so far
};

base::StatusOr<LabelSelector> LabelSelector::Parse(std::string_view text) {
  return LabelSelectorParser(text).Parse();
}

bool LabelSelector::Matches(const Labels& labels) const {
  return empty() || std::all_of(requirements_->begin(), requirements_->end(),
                                [&](const Requirement& one) { return Fulfils(one, labels); });
}

bool LabelSelector::Fulfils(const Requirement& requirement, const Labels& labels) {
  const auto found = labels.find(requirement.key);
  const bool exists = found != labels.end();
  const auto is_one_of = [&](const std::string& value) {
    return std::binary_search(requirement.values.begin(), requirement.values.end(), value);
  };
  switch (requirement.op) {
    case Operator::kIn:
      return exists && is_one_of(found->second);
    case Operator::kNotIn:
      return !exists || !is_one_of(found->second);
    case Operator::kExists:
      return exists;
    case Operator::kDoesNotExist:
      return !exists;
    case Operator::kGreater:
    case Operator::kLess:
      break;
  }
  if (!exists) return false;
  const auto value = ParseInt(found->second);
  if (!value.ok()) return false;
  return requirement.op == Operator::kGreater ? *value > requirement.bound
                                              : *value < requirement.bound;
}

}  // namespace strata::api

// encoding/csv reader.go, line by line as there, so that positions in errors are the same.
#include "server/auth/csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace strata::auth {
namespace {

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  base::StatusOr<std::vector<CsvRow>> Run() {
    std::vector<CsvRow> rows;
    while (NextLine()) {
      if (rest_.empty() || rest_ == "\n") continue;
      CsvRow row{line_, {}};
      start_ = line_;
      bool more = true;
      while (more) {
        std::string& field = row.fields.emplace_back();
        STRATA_ASSIGN_OR_RETURN(more,
                                rest_.starts_with('"') ? QuotedField(field) : PlainField(field));
      }
      rows.push_back(std::move(row));
    }
    return rows;
  }

 private:
  base::Status Error(size_t column, std::string_view what) const {
    const std::string record = start_ == line_ ? "" : fmt::format("record on line {}; ", start_);
    return base::InvalidArgumentError(
        fmt::format("{}parse error on line {}, column {}: {}", record, line_, column, what));
  }

  // The next line with its line feed, "\r\n" as "\n"; false at the end of the text.
  bool NextLine() {
    if (text_.empty() || text_ == "\r") return false;
    const size_t feed = text_.find('\n');
    std::string_view line = text_.substr(0, feed);
    const bool crlf = line.ends_with('\r');
    if (crlf) line.remove_suffix(1);
    text_.remove_prefix(feed == std::string_view::npos ? text_.size() : feed + 1);
    current_ = line;
    if (feed != std::string_view::npos) current_ += '\n';
    rest_ = current_;
    ++line_;
    column_ = 1;
    return true;
  }

  void Skip(size_t bytes) {
    rest_.remove_prefix(bytes);
    column_ += bytes;
  }

  // Both return whether another field follows in the record.
  base::StatusOr<bool> PlainField(std::string& field) {
    const size_t comma = rest_.find(',');
    const std::string_view value = rest_.substr(0, std::min(comma, rest_.find('\n')));
    if (const size_t quote = value.find('"'); quote != std::string_view::npos) {
      return Error(column_ + quote, "bare \" in non-quoted-field");
    }
    field = value;
    if (comma == std::string_view::npos) return false;
    Skip(comma + 1);
    return true;
  }

  base::StatusOr<bool> QuotedField(std::string& field) {
    constexpr std::string_view kQuote = "extraneous or missing \" in quoted-field";
    Skip(1);
    while (true) {
      const size_t quote = rest_.find('"');
      if (quote == std::string_view::npos) {
        field += rest_;
        const size_t end = column_ + rest_.size();
        if (!NextLine()) return Error(end, kQuote);
        continue;
      }
      field += rest_.substr(0, quote);
      Skip(quote + 1);
      if (rest_.starts_with('"')) {
        field += '"';
        Skip(1);
      } else if (rest_.starts_with(',')) {
        Skip(1);
        return true;
      } else if (rest_.empty() || rest_ == "\n") {
        return false;
      } else {
        return Error(column_ - 1, kQuote);
      }
    }
  }

  std::string_view text_;  // behind the current line
  std::string current_;
  std::string_view rest_;  // of current_
  size_t column_ = 1;      // of rest_ in its line, in bytes
  int line_ = 0;
  int start_ = 0;  // where the record starts
};

}  // namespace

base::StatusOr<std::vector<CsvRow>> ParseCsv(std::string_view text) {
  return Parser(text).Run();
}

}  // namespace strata::auth

#include "server/auth/csv.h"

#include <fmt/format.h>

namespace strata::auth {
namespace {

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  base::StatusOr<std::vector<CsvRow>> Run() {
    std::vector<CsvRow> rows;
    while (at_ < text_.size()) {
      if (AtLineEnd()) {
        TakeLineEnd();
        continue;
      }
      CsvRow row{line_, {}};
      do {
        STRATA_RETURN_IF_ERROR(Field(row));
      } while (Take(','));
      if (at_ < text_.size() && !AtLineEnd()) return Error("a quote inside an unquoted field");
      TakeLineEnd();
      rows.push_back(std::move(row));
    }
    return rows;
  }

 private:
  base::Status Error(std::string_view what) const {
    return base::InvalidArgumentError(fmt::format("line {}: {}", line_, what));
  }

  base::Status Field(CsvRow& row) {
    std::string& field = row.fields.emplace_back();
    if (!Take('"')) {
      while (at_ < text_.size() && text_[at_] != ',' && !AtLineEnd()) {
        if (text_[at_] == '"') return Error("a quote inside an unquoted field");
        field += text_[at_++];
      }
      return base::OkStatus();
    }
    while (at_ < text_.size()) {
      if (text_[at_] == '"') {
        ++at_;
        if (!Take('"')) {
          if (at_ < text_.size() && text_[at_] != ',' && !AtLineEnd()) return Error("text after a quoted field");
          return base::OkStatus();
        }
        field += '"';
      } else {
        if (text_[at_] == '\n') ++line_;
        field += text_[at_++];
      }
    }
    return Error("a quoted field that doesn't end");
  }

  bool AtLineEnd() const {
    return text_[at_] == '\n' || (text_[at_] == '\r' && (at_ + 1 == text_.size() || text_[at_ + 1] == '\n'));
  }

  void TakeLineEnd() {
    if (at_ < text_.size() && text_[at_] == '\r') ++at_;
    if (at_ < text_.size() && text_[at_] == '\n') ++at_;
    ++line_;
  }

  bool Take(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  const std::string_view text_;
  size_t at_ = 0;
  int line_ = 1;
};

}  // namespace

base::StatusOr<std::vector<CsvRow>> ParseCsv(std::string_view text) { return Parser(text).Run(); }

}  // namespace strata::auth

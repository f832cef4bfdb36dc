// Compares the x509 room's verdicts with Go's own, which test/cmd/x509shapes prints. Prints what
// differs, and exits 1 if anything does.
//   x509_verdicts SHAPES_PROGRAM
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/x509/verify.h"

namespace strata::x509 {
namespace {

constexpr size_t kLeastShapes = 1000;

std::vector<std::string> Split(std::string_view line, char by) {
  std::vector<std::string> fields;
  for (;;) {
    const size_t end = line.find(by);
    fields.emplace_back(line.substr(0, end));
    if (end == std::string_view::npos) return fields;
    line.remove_prefix(end + 1);
  }
}

std::string Decoded(std::string_view base64) {
  return base::FromBase64(base64).value();
}

base::Status Judge(const std::vector<std::string>& fields) {
  STRATA_ASSIGN_OR_RETURN(const Pool roots, Pool::Parse(Decoded(fields[5])));
  std::vector<std::string> der;
  for (const std::string& one : Split(fields[6], ',')) der.push_back(Decoded(one));
  STRATA_ASSIGN_OR_RETURN(const Chain chain, ParseChain(der));
  return Verify(chain, roots,
                {fields[2] == "server" ? Usage::kServer : Usage::kClient, fields[3],
                 std::chrono::system_clock::now()});
}

// Go's error in our terms, as far as they are told apart; nothing of the rest.
std::string KindOfGo(std::string_view verdict) {
  if (verdict == "ok") return "ok";
  if (verdict.starts_with("x509: certificate has expired")) return "time";
  return "refused";
}
std::string KindOf(const base::Status& status) {
  if (status.ok()) return "ok";
  return absl::IsOutOfRange(status) ? "time" : "refused";
}

// An expired CA is why there is no path, in Go's terms.
bool Agree(std::string_view go, const base::Status& own) {
  const std::string theirs = KindOfGo(go), ours = KindOf(own);
  return theirs == ours || (theirs == "refused" && ours == "time" &&
                            go.find("has expired or is not yet valid") != std::string_view::npos);
}

std::string Text(const base::Status& status) {
  return status.ok() ? "ok" : std::string(base::Message(status));
}

// What differs; empty: nothing.
std::string Compare(const std::vector<std::string>& fields) {
  if (fields[0] == "verify" && fields.size() == 7) {
    const base::Status own = Judge(fields);
    if (Agree(fields[4], own)) return "";
    return fmt::format("{}\n  Go:   {}\n  ours: {}", fields[1], fields[4], Text(own));
  }
  if (fields[0] == "pool" && fields.size() == 5) {
    const std::string text = Decoded(fields[4]);
    const auto strict = Pool::Parse(text), usable = Pool::ParseUsable(text);
    const bool agree = strict.ok() == (std::stoi(fields[2]) > 0) &&
                       (usable.ok() ? usable->all().size() : 0) == std::stoul(fields[3]);
    return agree ? ""
                 : fmt::format("CA file: {} (Go: {} or {}): {}", fields[1], fields[2], fields[3],
                               Text(strict.status()));
  }
  if (fields[0] == "parse" && fields.size() == 4) {
    const auto own = Certificate::Parse(Decoded(fields[3]));
    if (own.ok() == (fields[2] == "ok")) return "";
    return fmt::format("{}\n  Go:   {}\n  ours: {}", fields[3], fields[2], Text(own.status()));
  }
  return fmt::format("not a shape: {} with {} fields", fields[0], fields.size());
}

int Run(const char* program) {
  std::FILE* shapes = popen(program, "r");  // NOLINT(cert-env33-c): a test's own program
  if (shapes == nullptr) return 1;
  std::string line;
  size_t count = 0, differ = 0;
  for (int c = 0; (c = std::getc(shapes)) != EOF;) {
    if (c != '\n') {
      line += static_cast<char>(c);
      continue;
    }
    const std::string difference = Compare(Split(line, '\t'));
    if (!difference.empty()) fmt::print("{}\n", difference);
    differ += difference.empty() ? 0 : 1;
    ++count;
    line.clear();
  }
  const int status = pclose(shapes);
  fmt::print("{} shapes, {} differ\n", count, differ);
  return status == 0 && differ == 0 && count >= kLeastShapes ? 0 : 1;
}

}  // namespace
}  // namespace strata::x509

int main(int argc, char** argv) {
  return argc == 2 ? strata::x509::Run(argv[1]) : 2;
}

#include "server/api/headers.h"

#include <fmt/format.h>

#include <random>

#include "lib/base/bytes.h"

namespace strata::api {
namespace {

constexpr size_t kMaxAuditId = 64;

// RFC 9562 §5.4. Unique, not secret: one generator a thread, seeded by the system once.
std::string NewUuid() {
  thread_local std::mt19937_64 random{(static_cast<uint64_t>(std::random_device()()) << 32) ^
                                      std::random_device()()};
  const uint64_t high = (random() & ~0xF000ULL) | 0x4000ULL;
  const uint64_t low = (random() & ~(3ULL << 62)) | (2ULL << 62);
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out(36, '-');
  size_t at = 0;
  const auto digits = [&](uint64_t value, int from, int count) {
    for (int i = 0; i < count; ++i) out[at++] = kHex[value >> (60 - 4 * (from + i)) & 15];
  };
  digits(high, 0, 8);
  ++at;
  digits(high, 8, 4);
  ++at;
  digits(high, 12, 4);
  ++at;
  digits(low, 0, 4);
  ++at;
  digits(low, 4, 12);
  return out;
}

bool IsFit(std::string_view id) {
  if (id.empty() || id.size() > kMaxAuditId) return false;
  for (const char c : id) {
    if (c <= 0x20 || c >= 0x7F) return false;
  }
  return true;
}

// Of a traceparent of the version that we know (W3C Trace Context §3.2).
constexpr size_t kWhole = 55;

}  // namespace

std::string AuditId(const http::Headers& request) {
  const std::string* given = request.Find("audit-id");
  return given != nullptr && IsFit(*given) ? *given : NewUuid();
}

std::string_view TraceId(std::string_view traceparent) {
  // version-trace-parent-flags; a later version may have more behind it.
  constexpr size_t kTraceAt = 3, kTraceSize = 32;
  const auto hex = [&](size_t at, size_t size) {
    const std::string_view part = traceparent.substr(at, size);
    return part.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  };
  const bool fit = traceparent.size() >= kWhole && hex(0, 2) && traceparent[2] == '-' &&
                   hex(kTraceAt, kTraceSize) && traceparent[35] == '-' && hex(36, 16) &&
                   traceparent[52] == '-' && hex(53, 2) && traceparent.substr(0, 2) != "ff" &&
                   (traceparent.size() == kWhole ||
                    (traceparent.substr(0, 2) != "00" && traceparent[kWhole] == '-'));
  if (!fit) return {};
  const std::string_view trace = traceparent.substr(kTraceAt, kTraceSize);
  return trace.find_first_not_of('0') == std::string_view::npos ? std::string_view() : trace;
}

std::string TraceParent(const http::Headers& request) {
  const std::string* given = request.Find("traceparent");
  if (given == nullptr || TraceId(*given).empty()) return {};
  constexpr std::string_view kVersion = "00";
  return std::string(kVersion) + given->substr(kVersion.size(), kWhole - kVersion.size());
}

void AddWarnings(const std::vector<std::string>& warnings, http::Headers& headers) {
  for (const std::string& warning : warnings) {
    std::string text;
    for (const char c : base::Printable(warning, 256)) {
      if (c == '"' || c == '\\') text += '\\';
      text += c;
    }
    headers.Add("warning", fmt::format("299 - \"{}\"", text));
  }
}

}  // namespace strata::api

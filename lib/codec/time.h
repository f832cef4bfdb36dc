// Times as Kubernetes writes them: RFC 3339, and seconds since 1970 in UTC.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace strata::codec {

struct ParsedTime {
  int64_t seconds;
  int32_t nanos;
};

// With any offset and fraction, as Go's time.Parse(time.RFC3339, …) takes it.
std::optional<ParsedTime> ParseTime(std::string_view text);

// 2006-01-02T15:04:05, without the Z that belongs behind it.
void AppendDateTime(int64_t seconds, std::string& out);
inline std::string FormatDateTime(int64_t seconds) {
  std::string out;
  AppendDateTime(seconds, out);
  return out;
}

// Whether there is such a day in the Gregorian calendar.
bool IsDate(int64_t year, int month, int day);

}  // namespace strata::codec

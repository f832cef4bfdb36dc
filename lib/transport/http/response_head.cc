#include "lib/transport/http/response_head.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <ctime>

namespace strata::http {

std::string HttpDate(base::WallTime time) {
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm t{};
  gmtime_r(&seconds, &t);
  return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", kDays[t.tm_wday], t.tm_mday,
                     kMonths[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

std::string_view DateHeader::At(base::MonotonicTime now) {
  if (now >= valid_until_ || text_.empty()) {
    const base::WallTime wall = std::chrono::floor<std::chrono::microseconds>(clock_.WallNow());
    const auto second = std::chrono::floor<std::chrono::seconds>(wall);
    text_ = HttpDate(second);
    valid_until_ = now + std::chrono::seconds(1) - (wall - second);
  }
  return text_;
}

std::string_view ReasonPhrase(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Request Entity Too Large";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Requested Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Entity";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 507:
      return "Insufficient Storage";
    default:
      return "";
  }
}

bool HasContent(int status) {
  return status >= 200 && status != 204 && status != 304;
}

void ReplaceControls(std::string& value) {
  // Eight bytes at a time: a byte below 0x20, or one that is 0x7f, takes its highest bit from
  // below. A byte too many is looked at, and none too few.
  constexpr uint64_t kOnes = 0x0101010101010101, kHigh = kOnes << 7;
  uint64_t found = 0;
  size_t at = 0;
  for (uint64_t word; at + sizeof word <= value.size(); at += sizeof word) {
    std::memcpy(&word, value.data() + at, sizeof word);
    const uint64_t delete_is_zero = word ^ (kOnes * 0x7f);
    found |= ((word - kOnes * 0x20) & ~word) | ((delete_is_zero - kOnes) & ~delete_is_zero);
  }
  bool any = (found & kHigh) != 0;
  for (; at < value.size(); ++at) any = any || IsControl(value[at]);
  if (any) std::ranges::replace_if(value, IsControl, ' ');
}

Response PlainError(int status, std::string_view detail) {
  Response response;
  response.status = status;
  response.close_connection = true;
  response.headers.Add("content-type", "text/plain; charset=utf-8");
  std::string text = fmt::format("{} {}", status, ReasonPhrase(status));
  if (!detail.empty()) text += fmt::format(": {}", detail);
  response.body = std::make_shared<const std::string>(std::move(text));
  return response;
}

}  // namespace strata::http

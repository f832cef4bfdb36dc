// What the two protocols' responses have in common: Date, Content-Length, the names of statuses,
// clean values.
#pragma once

#include <string>
#include <string_view>

#include "lib/base/clock.h"
#include "lib/transport/http/message.h"

namespace strata::http {

// RFC 9110 §5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT".
std::string HttpDate(base::WallTime time);

// The Date header, made once a second.
class DateHeader {
 public:
  explicit DateHeader(const base::Clock& clock) : clock_(clock) {}
  // `now` is the clock's. Valid until the next call; always 29 bytes.
  std::string_view At(base::MonotonicTime now);

 private:
  const base::Clock& clock_;
  std::string text_;
  base::MonotonicTime valid_until_{};
};

// "Not Found"; empty for a status without a registered name.
std::string_view ReasonPhrase(int status);

// Whether a response may have content and so a Content-Length (RFC 9110 §6.4.1, §8.6).
bool HasContent(int status);

// What a header's value must not hold; it becomes a space, as Go's server writes it: no header can
// break a line.
constexpr bool IsControl(char c) {
  return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
}

void ReplaceControls(std::string& value);

// text/plain, as Go's server answers what doesn't reach a handler; the connection closes
// afterwards.
Response PlainError(int status, std::string_view detail = {});

}  // namespace strata::http

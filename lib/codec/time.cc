#include "lib/codec/time.h"

#include <fmt/format.h>

#include <utility>

namespace strata::codec {
namespace {

// Both ways between days since 1970-01-01 and a proleptic Gregorian date (Howard Hinnant,
// "chrono-compatible low-level date algorithms").
struct Date {
  int64_t year;
  int month, day;
};

Date CivilFromDays(int64_t days) {
  days += 719468;
  const int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  const auto doe = static_cast<int>(days - era * 146097);
  const int yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  const int doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  const int mp = (5 * doy + 2) / 153;
  const int month = mp < 10 ? mp + 3 : mp - 9;
  return {yoe + era * 400 + (month <= 2 ? 1 : 0), month, doy - (153 * mp + 2) / 5 + 1};
}

int64_t DaysFromCivil(int64_t year, int month, int day) {
  year -= month <= 2 ? 1 : 0;
  const int64_t era = (year >= 0 ? year : year - 399) / 400;
  const auto yoe = static_cast<int>(year - era * 400);
  const int doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  return era * 146097 + int64_t{yoe} * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

void AppendTwoDigits(int number, std::string& out) {
  out += static_cast<char>('0' + number / 10);
  out += static_cast<char>('0' + number % 10);
}

// Takes a text apart from the left. Once something isn't there, nothing more is.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  int Number(size_t digits, int largest) {
    int value = 0;
    for (size_t i = 0; i < digits; ++i) {
      if (!IsDigit(i)) return Fail();
      value = value * 10 + (rest_[i] - '0');
    }
    if (failed_ || value > largest) return Fail();
    rest_.remove_prefix(digits);
    return value;
  }

  bool Take(char c) {
    if (failed_ || !rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }

  void Expect(char c) {
    if (!Take(c)) Fail();
  }

  // The digits of a fraction; those beyond nanoseconds are passed over.
  int32_t Nanos() {
    if (!IsDigit(0)) return Fail();
    int32_t nanos = 0;
    for (int32_t unit = 100'000'000; IsDigit(0); unit /= 10) {
      nanos += (rest_[0] - '0') * unit;
      rest_.remove_prefix(1);
    }
    return nanos;
  }

  int Fail() {
    failed_ = true;
    return 0;
  }

  bool Done() const { return !failed_ && rest_.empty(); }

 private:
  bool IsDigit(size_t at) const {
    return at < rest_.size() && rest_[at] >= '0' && rest_[at] <= '9';
  }

  std::string_view rest_;
  bool failed_ = false;
};

// Seconds east of UTC.
int Offset(Scanner& scanner) {
  if (scanner.Take('Z')) return 0;
  const int sign = scanner.Take('-') ? -1 : 1;
  if (sign > 0) scanner.Expect('+');
  const int hours = scanner.Number(2, 24);
  scanner.Expect(':');
  return sign * (hours * 3600 + scanner.Number(2, 60) * 60);
}

}  // namespace

std::optional<ParsedTime> ParseTime(std::string_view text) {
  Scanner scanner(text);
  const int year = scanner.Number(4, 9999);
  scanner.Expect('-');
  const int month = scanner.Number(2, 12);
  scanner.Expect('-');
  const int day = scanner.Number(2, 31);
  scanner.Expect('T');
  int64_t seconds = int64_t{scanner.Number(2, 23)} * 3600;
  scanner.Expect(':');
  seconds += int64_t{scanner.Number(2, 59)} * 60;
  scanner.Expect(':');
  seconds += scanner.Number(2, 59);
  const int32_t nanos = scanner.Take('.') ? scanner.Nanos() : 0;
  seconds -= Offset(scanner);
  if (!scanner.Done() || !IsDate(year, month, day)) return std::nullopt;
  return ParsedTime{DaysFromCivil(year, month, day) * 86400 + seconds, nanos};
}

void AppendDateTime(int64_t seconds, std::string& out) {
  int64_t days = seconds / 86400;
  int64_t rest = seconds % 86400;
  if (rest < 0) {
    rest += 86400;
    --days;
  }
  const Date date = CivilFromDays(days);
  const auto time = static_cast<int>(rest);
  // A list has one of these for every event of every tag: fmt takes five times as long.
  if (date.year >= 0 && date.year <= 9999) {
    const auto year = static_cast<int>(date.year);
    AppendTwoDigits(year / 100, out);
    AppendTwoDigits(year % 100, out);
  } else {
    out += fmt::format("{:04}", date.year);
  }
  for (const auto& [before, number] :
       {std::pair('-', date.month), std::pair('-', date.day), std::pair('T', time / 3600),
        std::pair(':', time / 60 % 60), std::pair(':', time % 60)}) {
    out += before;
    AppendTwoDigits(number, out);
  }
}

bool IsDate(int64_t year, int month, int day) {
  static constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return month >= 1 && month <= 12 && day >= 1 &&
         day <= kDays[month - 1] + (month == 2 && leap ? 1 : 0);
}

}  // namespace strata::codec

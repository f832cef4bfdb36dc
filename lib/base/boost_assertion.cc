#include "lib/base/boost_assertion.h"

#include <fmt/format.h>

#include <string_view>

namespace boost {

void assertion_failed(const char* expression, const char*, const char* file, long line) {
  const std::string_view path = file;
  throw strata::base::BoostAssertion(
      fmt::format("{}:{}: {}", path.substr(path.rfind('/') + 1), line, expression));
}

void assertion_failed_msg(const char* expression, const char* message, const char* function,
                          const char* file, long line) {
  assertion_failed(fmt::format("{} ({})", expression, message).c_str(), function, file, line);
}

}  // namespace boost

#include "lib/image/object_name.h"

#include <fmt/format.h>

namespace strata::image {

bool IsPathSegment(std::string_view name) {
  return name != "." && name != ".." && name.find_first_of("/%") == name.npos;
}

std::string PathSegmentProblem(std::string_view name) {
  if (name == "." || name == "..") return fmt::format("may not be '{}'", name);
  std::string problem;
  for (const char c : {'/', '%'}) {
    if (name.find(c) == name.npos) continue;
    problem += fmt::format("{}may not contain '{}'", problem.empty() ? "" : ";", c);
  }
  return problem;
}

}  // namespace strata::image

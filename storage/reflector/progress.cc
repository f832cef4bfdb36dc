#include "storage/reflector/progress.h"

#include <charconv>

namespace strata::reflector {

bool ProgressIsKnownWrong(const std::string& version) {
  int part[3] = {0, 0, 0};
  const char* at = version.data();
  const char* const end = version.data() + version.size();
  for (int& number : part) {
    const auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc()) return false;  // not etcd's numbering: nothing is known
    at = next < end && *next == '.' ? next + 1 : next;
  }
  if (part[0] != 3) return part[0] < 3;
  if (part[1] == 4) return part[2] < 31;
  if (part[1] == 5) return part[2] < 13;
  return part[1] < 4;
}

}  // namespace strata::reflector

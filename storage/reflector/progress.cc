#include "storage/reflector/progress.h"

#include <array>
#include <charconv>
#include <optional>

namespace strata::reflector {
namespace {

// Nothing if it isn't etcd's numbering.
std::optional<std::array<int, 3>> NumbersOf(const std::string& version) {
  std::array<int, 3> numbers{};
  const char* at = version.data();
  const char* const end = version.data() + version.size();
  for (int& number : numbers) {
    const auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc()) return std::nullopt;
    at = next < end && *next == '.' ? next + 1 : next;
  }
  return numbers;
}

}  // namespace

bool ProgressIsKnownWrong(const std::string& version) {
  const auto numbers = NumbersOf(version);
  if (!numbers) return false;
  const auto [major, minor, patch] = *numbers;
  if (major != 3) return major < 3;
  if (minor == 4) return patch < 31;
  if (minor == 5) return patch < 13;
  return minor < 4;
}

bool ProgressCanBeTrusted(const std::string& version, uint64_t cluster_id) {
  return NumbersOf(version) ? !ProgressIsKnownWrong(version) : cluster_id == 0;
}

}  // namespace strata::reflector

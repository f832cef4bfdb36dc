// Whatever keys a backend has answered: what is left of a range is divided so that each key is in
// exactly one part.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "storage/reflector/key_range.h"
#include "test/fuzz/input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace strata;
  fuzz::Input input(data, size);
  const size_t most = 1 + input.Byte() % 16;
  reflector::KeyRange range{std::string(input.Text()), std::string(input.Text())};
  std::vector<client::KeyValue> found;
  do {
    found.push_back({std::string(input.Text()), "", 1, 1});
  } while (!input.empty());
  // What a list has checked before.
  for (size_t i = 1; i < found.size(); ++i)
    if (found[i - 1].key >= found[i].key) return 0;
  if (range.begin <= found.back().key || range.begin >= range.end) return 0;

  const auto parts = reflector::Divide(range, found, most);
  if (parts.empty() || parts.size() > most) std::abort();
  if (parts.front().begin != range.begin || parts.back().end != range.end) std::abort();
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].begin >= parts[i].end) std::abort();
    if (i > 0 && parts[i - 1].end != parts[i].begin) std::abort();
  }
  return 0;
}

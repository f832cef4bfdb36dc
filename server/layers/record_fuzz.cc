// Any bytes as an Image and as an ImageStream: decoding must return, and what it accepts must
// build.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "server/layers/index.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace strata::layers;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  Index index({.cache_bytes = 1 << 20, .max_entries_per_answer = 1000}, {});
  const Change changes[] = {
      {Change::Kind::kImage, Change::State::kPresent, "", "i", 1, bytes, {}},
      {Change::Kind::kImageStream, Change::State::kPresent, "ns", "s", 1, bytes, {}},
      {Change::Kind::kImageStream,
       Change::State::kPresent,
       "ns",
       "t",
       1,
       std::string_view("\x0a\x00\x1a\x07\x12\x05\x12\x03\x1a\x01i", 11),
       {}},
  };
  index.Apply(changes);
  for (const char* name : {"s", "t"}) {
    const Lookup lookup = index.Find("ns", name, {});
    if (lookup.result == Lookup::Result::kSmall && !index.Build(lookup.gathered, {}).ok())
      std::abort();
    Assembly assembly("ns", name, {});
    if (lookup.result == Lookup::Result::kLarge && !index.Make(assembly, {}).ok()) std::abort();
  }
  return 0;
}

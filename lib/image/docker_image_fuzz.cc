// Any bytes as what an image says of its configuration, in any version: it is refused for a reason,
// or shown as JSON, which is then shown the same.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "lib/codec/json_syntax.h"
#include "lib/image/docker_image.h"
#include "test/fuzz/input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace strata;
  fuzz::Input input(data, size);
  constexpr const char* kVersions[] = {"1.0", "pre012", "", "2.0"};
  image::v1::Image one;
  one.set_docker_image_metadata_version(kVersions[input.Byte() % 4]);
  one.mutable_docker_image_metadata()->set_raw(std::string(input.Rest()));
  const auto status = image::NormalizeMetadata(one);
  if (!status.ok()) {
    if (base::Message(status).empty()) std::abort();
    return 0;
  }
  const std::string& shown = one.docker_image_metadata().raw();
  if (!shown.empty() && !codec::JsonProblem(shown).empty()) std::abort();
  image::v1::Image again = one;
  if (!image::NormalizeMetadata(again).ok() || again.docker_image_metadata().raw() != shown)
    std::abort();
  return 0;
}

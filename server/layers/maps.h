// The two maps of ImageStreamLayers: the blobs and the images of a stream, as both groups show
// them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stop_token>
#include <vector>

#include "server/layers/answer.h"
#include "server/layers/entry.h"
#include "server/layers/name_table.h"

namespace strata::layers {

// Sorted by name, as Go prints maps.
struct Maps {
  struct Blob {
    uint64_t rank;
    NameId name;
    NameId media_type;
    int64_t size;
    bool has_size;
  };
  struct Image {
    uint64_t rank;
    NameId name;
    const ImageEntry* entry;  // null unless it is usable
  };
  std::vector<Blob> blobs;
  std::vector<Image> images;
};

// Without any once it is stopped. The entries live as long as what was gathered.
Maps MakeMaps(const NameTable& names, const WellKnown& known, const Gathered& gathered,
              const std::stop_token& stop);

// Media type of the image's config, which no record says.
inline NameId ConfigTypeOf(const WellKnown& known, const ImageEntry& image) {
  return image.media_type() == known.oci_manifest ? known.oci_config : known.docker_config;
}

// Whether the work has to end, looked at now and then.
class Pulse {
 public:
  explicit Pulse(const std::stop_token& stop) : stop_(stop) {}
  bool IsOver() {
    if ((++count_ & 1023) == 0) over_ = over_ || stop_.stop_requested();
    return over_;
  }

 private:
  const std::stop_token& stop_;
  size_t count_ = 0;
  bool over_ = false;
};

}  // namespace strata::layers

// Records that a server must survive, by kind of badness. Each stands under a key of an image or a
// stream.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "test/support/records.h"

namespace strata::testing_support {

enum class Badness {
  kEncrypted,   // k8s:enc:aescbc:…
  kWrongKind,   // a Secret
  kWrongGroup,  // an Image of another API group
  kTruncated,   // a good record without its end
  kEmpty,       // no byte
  kRandom,      // random bytes
  kRandomBody,  // the envelope of a good record around random bytes
  kJsonBomb,    // JSON, 100,000 brackets deep
  kGroupBomb,   // protobuf, 100,000 groups deep
  kJunk,        // the envelope, and 1 MiB of one byte
  kJsonSyntax,  // JSON that breaks off
  kBadUtf8,     // a good record with a name that isn't UTF-8
  kOtherName,   // a good record under another's key
};

inline constexpr std::array kAllBadness = {
    Badness::kEncrypted, Badness::kWrongKind, Badness::kWrongGroup, Badness::kTruncated,
    Badness::kEmpty,     Badness::kRandom,    Badness::kRandomBody, Badness::kJsonBomb,
    Badness::kGroupBomb, Badness::kJunk,      Badness::kJsonSyntax, Badness::kBadUtf8,
    Badness::kOtherName,
};

std::string_view NameOf(Badness badness);

// Like `good`, but bad: same key, another value. `seed` varies the random ones.
Record MakeBad(const Record& good, Badness badness, uint64_t seed = 1);

// `good` under its key in the unusual forms that are right nevertheless.
Record AsJson(const Image& image, std::string_view api_version,
              std::string_view prefix = "openshift.io");
Record AsJson(const ImageStream& stream, std::string_view api_version,
              std::string_view prefix = "openshift.io");

}  // namespace strata::testing_support

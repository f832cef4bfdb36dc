// What a key and its value in the backend are: an Image or an ImageStream, or an unreadable record with a reason.
#pragma once

#include <cstdint>
#include <string>

#include "base/revision.h"

namespace strata::records {

enum class Kind { kImage, kImageStream };

// Which record: images have no namespace.
struct Id {
  Kind kind = Kind::kImage;
  std::string ns;
  std::string name;

  friend bool operator==(const Id&, const Id&) = default;
};

// One record as it is at a revision, or its deletion.
struct Change {
  enum class State {
    kPresent,     // `object` is the protobuf encoding of github.com.openshift.api.image.v1's message of this kind
    kUnreadable,  // `reason` says why; the record exists
    kDeleted,
  };

  Id id;
  State state = State::kPresent;
  base::Revision revision = 0;  // mod revision; of a deletion, the revision that deleted
  std::string object;
  std::string reason;
};

}  // namespace strata::records

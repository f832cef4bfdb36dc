// What a key and its value in the backend are: an Image or an ImageStream, or an unreadable record
// with a reason.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/revision.h"
#include "storage/records/kinds.h"

namespace strata::records {

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
    kPresent,  // `object` is the protobuf encoding of github.com.openshift.api.image.v1's message
               // of this kind. Its metadata.resourceVersion is empty, or what clients see instead
               // of `revision`: a source that isn't the backend itself has an order of its own.
    kUnreadable,  // `reason` says why; the record exists
    kDeleted,
  };

  Id id;
  State state = State::kPresent;
  base::Revision revision = 0;  // mod revision; of a deletion, the revision that deleted
  std::string object;
  std::string reason;
};

// What `value`, found under the key of `id`, is. Never fails: a value that can't be read is
// kUnreadable with a reason. Who has no more use for the value moves it here: the object stays in
// its memory.
//
// Read are protobuf in its `k8s\0` envelope and JSON, of apiVersion image.openshift.io/v1 and the
// legacy v1 (k8s.io/apiserver pkg/server/storage/storage_codec.go). The object's own name isn't
// compared with the key's: the key decides, as in the reference; nor does the resourceVersion count
// that it was stored with.
Change Decode(Id id, std::string value, base::Revision revision);

// The deletion of the record.
Change Deleted(Id id, base::Revision revision);

// The value that stores `object`, the protobuf encoding of a message of `kind`.
std::string Encode(Kind kind, std::string_view object);

}  // namespace strata::records

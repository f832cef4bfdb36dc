// A list's bytes in pieces, each made when it is wanted: by workers, one at a time.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>

#include "lib/base/shares.h"
#include "lib/base/status.h"
#include "server/objects/list_encoder.h"
#include "server/objects/list_reader.h"

namespace strata::objects {

class ListMaker {
 public:
  // `user` is whose room in `memory` it takes.
  ListMaker(ListReader reader, ListEncoder encoder, base::Shares& memory, std::string user);

  // Reads as far as the head needs to know: of a list with a limit, or as protobuf, which says its
  // size, everything. What was encoded on the way is kept while there is room in `memory`, and made
  // a second time where there isn't: records as of a revision don't change.
  base::Status Prepare();

  // The next piece, after Prepare; empty: that was all. An error: the rest can't be had.
  base::StatusOr<std::string> Next();

 private:
  struct Kept {
    std::string bytes;
    std::optional<base::Shares::Share> room;
  };

  // The bytes of the next page that has any; empty if none is left.
  base::StatusOr<std::string> NextItems();
  void Keep(std::string bytes);
  ::k8s::io::apimachinery::pkg::apis::meta::v1::ListMeta Metadata() const;

  ListReader reader_;
  const ListEncoder encoder_;
  base::Shares& memory_;
  const std::string user_;
  bool any_ = false;       // an item was encoded
  bool keeping_ = true;    // everything that was encoded is kept
  std::deque<Kept> kept_;  // not given yet
  std::string head_, tail_;
  ListReader::Position end_;  // of what is kept: from there on it is made again
};

}  // namespace strata::objects

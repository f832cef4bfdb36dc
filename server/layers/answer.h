// What an answer is made of and how it becomes bytes. No locks, no state: everything here works on
// what the index gathered, outside of the index's lock.
#pragma once

#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/revision.h"
#include "lib/base/status.h"
#include "server/layers/entry.h"
#include "server/layers/name_table.h"
#include "server/wire/negotiate.h"

namespace strata::layers {

// A form that an answer can be asked for in, small enough to be a key.
struct Form {
  wire::Representation representation;
  bool gzip = false;  // whether the client accepts it; small bodies aren't compressed all the same

  friend bool operator==(const Form&, const Form&) = default;
};

// Bytes ready to be sent, many times.
struct Encoded {
  std::string body;
  bool gzipped = false;
  bool is_refusal = false;            // the stream has no answer, and `body` says why
  base::Revision revision = 0;        // the stream's
  std::vector<std::string> missing;   // images that have no record, where the index tells them
  std::vector<std::string> warnings;  // for Warning headers: short, printable, at most six
};

// Everything that one answer depends on, at one revision: the stream and, in the order in which the
// reference visits them, the images that it names and the children of those; null where there is no
// record.
struct Gathered {
  struct Node {
    NameId name;
    ImagePointer image;
  };
  StreamPointer stream;
  std::vector<Node> nodes;
};

// Config media types, which no record names: known to the table for as long as it lives.
struct WellKnown {
  NameId oci_manifest;
  NameId docker_config;
  NameId oci_config;
};

// The images of which there is no record.
std::vector<std::string> MissingIn(const NameTable& names, const Gathered& gathered);

// kDataLoss if the stream's metadata doesn't parse, kCancelled if it was stopped on the way, which
// is looked at every thousand blobs or images. The metadata's resourceVersion is the stream's
// revision, unless it says one itself.
base::StatusOr<Encoded> Build(const NameTable& names, const WellKnown& known,
                              const Gathered& gathered, const Form& form,
                              const std::stop_token& stop = {});

}  // namespace strata::layers

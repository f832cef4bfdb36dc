// imagestreamlayers: a stream's layers as an object of their own.
#pragma once

#include "lib/base/revision.h"
#include "lib/base/status.h"
#include "proto/layers/v1alpha1/layers.pb.h"
#include "server/layers/reading.h"

namespace strata::views {

namespace v1alpha1 = ::strata::dev::layers::v1alpha1;

struct StreamView {
  // Since when the layers are what they are, as far as that is known: never before they last
  // changed, and they haven't changed since. It is exact but where an image is missing since before
  // the list that the index began with, for what is gone doesn't say when it went: then it is that
  // list's.
  //
  // So two objects of one revision are equal, a later revision is no older object, and what a watch
  // tells from there on is all that there is to tell. A server that has run for longer may know an
  // earlier revision of the same layers than one that has just begun.
  base::Revision revision = 0;
  // Without the revision.
  v1alpha1::ImageStreamLayers object;
};

// kDataLoss: why the stream can't be read. kCancelled.
base::StatusOr<StreamView> ViewOf(const layers::Reading& reading,
                                  const layers::StreamPointer& stream);

}  // namespace strata::views

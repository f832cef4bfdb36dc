// How the objects of image.openshift.io/v1 are made of records (openshift-apiserver
// pkg/image/apiserver/registry).
#pragma once

#include "server/endpoints/objects.h"
#include "server/layers/index.h"

namespace strata::endpoints {

Made MakeImageStream(RecordReader& records, const Call& call);
// As it is stored: without the repositories that the server's registry gives it.
Made MakeImageStreamStatus(RecordReader& records, const Call& call);
Made MakeImage(RecordReader& records, const Call& call);
Made MakeImageStreamTag(RecordReader& records, const Call& call);
Made MakeImageTag(RecordReader& records, const Call& call);
// Of an image that a tag of the stream points at or has pointed at, or that is a child of one:
// what lists have as children the index knows, which outlives it. Of several that are meant it is
// the first by name.
Maker ImageStreamImages(const layers::Index& index);

}  // namespace strata::endpoints

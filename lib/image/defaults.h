// What the API fills in where an object doesn't say it (openshift-apiserver
// pkg/image/apis/image/v1/defaults.go).
#pragma once

#include "proto/image/image_v1.pb.h"

namespace strata::image {

namespace v1 = ::github::com::openshift::api::image::v1;

inline void SetDefaults(v1::TagReference& tag) {
  if (tag.reference_policy().type().empty()) tag.mutable_reference_policy()->set_type("Source");
  if (tag.import_policy().import_mode().empty())
    tag.mutable_import_policy()->set_import_mode("Legacy");
}

}  // namespace strata::image

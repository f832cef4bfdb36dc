// Records as clients see them (openshift-apiserver pkg/image/apis/image/v1 and
// pkg/image/apiserver/registry/imagestream/strategy.go).
#pragma once

#include <string>

#include "lib/base/revision.h"
#include "lib/base/status.h"
#include "proto/image/image_v1.pb.h"

namespace strata::image {

namespace v1 = ::github::com::openshift::api::image::v1;

// Where the integrated registry is reached; empty: there is none.
struct RegistryHostnames {
  std::string internal;  // from within the cluster
  std::string external;
};

// Makes of the stored record the object that is served: its revision, unless it says one itself
// (records::Change), the defaults of version v1, tags once each and in order of their names.
void PresentStored(base::Revision revision, v1::ImageStream& stream);

// And the repositories of `registry`.
void Present(const RegistryHostnames& registry, base::Revision revision, v1::ImageStream& stream);

// An error says what of the record can't be understood.
base::Status Present(base::Revision revision, v1::Image& image);

}  // namespace strata::image

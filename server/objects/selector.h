// Which objects are selected: by labels, and by the fields of their resource.
#pragma once

#include <string>

#include "server/api/field_selector.h"
#include "server/api/label_selector.h"
#include "server/objects/kind.h"

namespace strata::objects {

class Selector {
 public:
  Selector() = default;
  Selector(api::LabelSelector labels, api::FieldSelector fields, const registry::Resource& resource)
      : labels_(std::move(labels)), fields_(std::move(fields)), resource_(&resource) {}

  bool all() const { return labels_.empty() && fields_.empty(); }
  bool asks_for_fields() const { return !fields_.empty(); }
  // The object is of the resource, or has as many fields.
  bool Matches(const Object& object) const;

 private:
  api::LabelSelector labels_;
  api::FieldSelector fields_;
  const registry::Resource* resource_ = nullptr;
};

}  // namespace strata::objects

#include "server/objects/selector.h"

#include <algorithm>

namespace strata::objects {

bool Selector::Matches(const Object& object) const {
  if (!labels_.empty() && !labels_.Matches(object.metadata().labels())) return false;
  if (fields_.empty()) return true;
  return fields_.Matches([&](std::string_view field) -> std::string {
    const auto& known = resource_->selectable_fields;
    const auto at = std::find(known.begin(), known.end(), field) - known.begin();
    return static_cast<size_t>(at) < object.fields.size() ? object.fields[at] : std::string();
  });
}

}  // namespace strata::objects

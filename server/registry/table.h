// How objects of a resource look as rows (metav1.Table): columns and what stands in them.
#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/image/cells.h"

namespace strata::registry {

struct Column {
  std::string name;
  std::string type;    // "string", "number"
  std::string format;  // "name" or empty
  std::string description;
  int priority = 0;  // shown with `-o wide` alone if it isn't 0
};

struct Table {
  std::vector<Column> columns;
  // A cell a column, of an object of the resource's type.
  image::Cells (*cells)(const google::protobuf::Message& object, base::WallTime now);
};

}  // namespace strata::registry

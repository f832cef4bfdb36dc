// What a table's row says of an object (openshift-apiserver
// pkg/image/printers/internalversion/printer.go).
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "lib/base/clock.h"
#include "proto/image/image_v1.pb.h"

namespace strata::image {

namespace v1 = ::github::com::openshift::api::image::v1;

// Nothing is null.
using Cell = std::variant<std::monostate, std::string, int64_t>;
using Cells = std::vector<Cell>;

Cells CellsOf(const v1::Image& image, base::WallTime now);
Cells CellsOf(const v1::ImageStream& stream, base::WallTime now);
Cells CellsOf(const v1::ImageStreamTag& tag, base::WallTime now);
Cells CellsOf(const v1::ImageTag& tag, base::WallTime now);
Cells CellsOf(const v1::ImageStreamImage& image, base::WallTime now);

// "17 minutes": github.com/docker/go-units HumanDuration.
std::string HumanDuration(std::chrono::seconds duration);

}  // namespace strata::image

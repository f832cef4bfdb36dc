// From a document's text to the record it says.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "lib/base/status.h"
#include "lib/image/check.h"
#include "storage/records/record.h"
#include "storage/tool/documents.h"
#include "storage/tool/identity.h"

namespace strata::tool {

namespace image_v1 = ::github::com::openshift::api::image::v1;

struct ParsedRecord {
  std::variant<image_v1::Image, image_v1::ImageStream> object;
  image::Warnings warnings;

  records::Kind kind() const {
    return object.index() == 0 ? records::Kind::kImage : records::Kind::kImageStream;
  }
  records::Id id() const;
  const google::protobuf::Message& message() const;
  ObjectMeta& metadata();
};

// A document of a kind that isn't ours: "ConfigMap", or "Image (config.openshift.io/v1)" when the
// kind alone could mislead; "no kind" if it doesn't claim to be a Kubernetes object.
struct Skipped {
  std::string what;
};

// Why a document is no record, and the line of the input that shows it.
struct BadDocument {
  size_t line = 1;
  std::string reason;
};

using ParseResult = std::variant<ParsedRecord, Skipped, BadDocument>;

// Appends what `document` holds to `results`: one result, or several if it is a List that the
// reader couldn't cut.
void Parse(const Document& document, std::string_view default_namespace,
           std::vector<ParseResult>& results);

}  // namespace strata::tool

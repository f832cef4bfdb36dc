// Reads Kubernetes JSON into our messages, as tolerant and as strict as the API server is: keys are
// case-sensitive, unknown fields are ignored, wrong types are errors that name the field.
#pragma once

#include <google/protobuf/message.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"

namespace strata::codec {

struct DecodedType {
  std::string kind;
  std::string api_version;
};

// Fills `message`, which should be empty, from one JSON object. Bounded by the size of `json` in
// time and memory; nesting deeper than 1,000 is an error, in raw members deeper than 10,000, and so
// is a large map that is repeated very often, though each is merged with those before it. Bytes
// that aren't UTF-8 and escaped halves of surrogate pairs are read as U+FFFD, each, as Go reads
// them; apart from that raw members (RawExtension, FieldsV1) keep the bytes as they stand in
// `json`. If `unknown` isn't null, the paths of fields that `message` doesn't know, such as
// rules[0].verb, are added to it; of very many only the first hundred.
base::StatusOr<DecodedType> DecodeJson(std::string_view json, google::protobuf::Message& message,
                                       std::vector<std::string>* unknown = nullptr);

// The kind and apiVersion of a JSON object, without reading the rest of it.
base::StatusOr<DecodedType> DecodeType(std::string_view json);

// Calls `item` with the text of each element of `json`'s member `items`, in order.
base::Status ForEachItem(std::string_view json,
                         const std::function<void(std::string_view item)>& item);

// A list of strings, as ConfigMaps hold them.
base::StatusOr<std::vector<std::string>> DecodeStrings(std::string_view json);

// Calls `member` with each member of the object `json` whose value is a string. An error if `json`
// isn't an object.
base::Status ForEachString(
    std::string_view json,
    const std::function<void(std::string_view key, std::string_view value)>& member);

}  // namespace strata::codec

// Kubernetes JSON of any of our messages, byte for byte as Go's encoding/json prints the type.
#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <string_view>

namespace strata::codec {

// Printed first, each if it isn't empty.
struct TypeMeta {
  std::string_view kind;
  std::string_view api_version;
};

// Appends the object, compact, without a line feed.
void AppendJson(const google::protobuf::Message& message, const TypeMeta& type, std::string& out);

inline std::string EncodeJson(const google::protobuf::Message& message, const TypeMeta& type = {}) {
  std::string out;
  AppendJson(message, type, out);
  return out;
}

}  // namespace strata::codec

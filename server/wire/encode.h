// Objects as bytes in the form that was negotiated.
#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <string_view>

#include "codec/encode_json.h"
#include "server/wire/negotiate.h"

namespace strata::wire {

// Appends `k8s\0` and a runtime.Unknown around `raw`: the body of application/vnd.kubernetes.protobuf.
void AppendEnvelope(const codec::TypeMeta& type, std::string_view raw, std::string& out);

// The whole body. Compact JSON and YAML end with a line feed, pretty JSON doesn't, as in the reference.
std::string Encode(const google::protobuf::Message& object, const codec::TypeMeta& type,
                   const Representation& representation);

// The same for one whose compact JSON is there already, without a line feed. Not for protobuf.
std::string EncodeText(std::string_view json, const Representation& representation);

}  // namespace strata::wire

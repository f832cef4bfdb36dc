// Objects as bytes in the form that was negotiated.
#pragma once

#include <google/protobuf/message.h>

#include <cstddef>
#include <stop_token>
#include <string>
#include <string_view>

#include "lib/codec/encode_json.h"
#include "server/wire/negotiate.h"

namespace strata::wire {

// Appends `k8s\0` and a runtime.Unknown around `raw`: the body of
// application/vnd.kubernetes.protobuf.
void AppendEnvelope(const codec::TypeMeta& type, std::string_view raw, std::string& out);

// The same in pieces, for a large `raw` that is written in place: head, raw_size bytes, tail.
void AppendEnvelopeHead(const codec::TypeMeta& type, size_t raw_size, std::string& out);
inline constexpr std::string_view kEnvelopeTail("\x1a\0\x22\0", 4);

// The whole body. Compact JSON and YAML end with a line feed, pretty JSON doesn't, as in the
// reference.
std::string Encode(const google::protobuf::Message& object, const codec::TypeMeta& type,
                   const Representation& representation);

// The same for one whose compact JSON is there already, without a line feed. Not for protobuf.
// Once it is stopped, YAML is a part of it.
std::string EncodeText(std::string_view json, const Representation& representation,
                       const std::stop_token& stop = {});

}  // namespace strata::wire

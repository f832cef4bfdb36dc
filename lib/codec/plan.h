// How the codec walks a message type: its fields in both orders, with the options of
// proto/k8s/json_options.proto read once. Plans are derived from generated descriptors, live as
// long as the process, and are made at first use. They name what a walk needs of the types inside,
// too: to ask a message for its reflection takes as long as to encode a field of it.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/string_map.h"
#include "proto/k8s/json_options.pb.h"

namespace strata::codec {

struct Plan;

struct FieldPlan {
  const google::protobuf::FieldDescriptor* field = nullptr;
  // Of the message that the field stands in.
  const google::protobuf::Reflection* reflection = nullptr;
  // Of a message field's type, a map's entries; null of others.
  const Plan* inner = nullptr;
  // The embedded message that the field stands in, when it is inline in another's JSON; otherwise
  // null.
  const google::protobuf::FieldDescriptor* inside = nullptr;
  std::string name;  // the JSON key
  std::string key;   // `"name":`
  bool always = false;
  bool pointer = false;
  bool omit_zero = false;
  bool empty_object = false;
};

struct Plan {
  json::Form form = json::OBJECT;
  const google::protobuf::Reflection* reflection = nullptr;
  std::vector<FieldPlan> json;                // in the order of JSON keys, inline fields resolved
  std::vector<FieldPlan> protobuf;            // in the order of field numbers
  base::StringMap<const FieldPlan*> by_name;  // of `json`
};

// Thread-safe.
const Plan& PlanOf(const google::protobuf::Descriptor* type);

// The entries of a map field with string keys, sorted by key. Valid as long as `message` isn't
// changed.
std::vector<const google::protobuf::Message*> SortedEntries(
    const google::protobuf::Message& message, const FieldPlan& map);

// Go's zero Time: nothing is set (both members are written when a time is, time_proto.go), or it is
// the first moment of the year 1. Of a Time or MicroTime.
template <typename Time>
bool IsZeroTime(const Time& time) {
  constexpr int64_t kYearOne = -62'135'596'800;
  return time.has_seconds() ? time.seconds() == kYearOne : !time.has_nanos();
}

}  // namespace strata::codec

// The protobuf form of our messages as gogo-protobuf writes the Go types: members that aren't
// pointers are written even when empty, maps sorted by key, a zero Time as an empty message.
#pragma once

#include <google/protobuf/message.h>

#include <string>

namespace strata::codec {

// Appends the encoding, in ascending order of field numbers. Fields that our .proto files don't
// know are dropped.
void AppendProtobuf(const google::protobuf::Message& message, std::string& out);

// The same as a field of another message, behind its number and length.
void AppendProtobufField(int number, const google::protobuf::Message& message, std::string& out);

inline std::string EncodeProtobuf(const google::protobuf::Message& message) {
  std::string out;
  AppendProtobuf(message, out);
  return out;
}

}  // namespace strata::codec

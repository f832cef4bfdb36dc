// OpenAPI schemas of our message types: their JSON form from the options in the .proto files, the
// descriptions from the comments there.
#pragma once

#include <google/protobuf/descriptor.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace strata::api {

// JSON text of an object with these members, in this order; those without a value are left out.
using JsonMembers = std::vector<std::pair<std::string_view, std::string>>;
std::string JsonObject(const JsonMembers& members);
std::string JsonString(std::string_view text);

class SchemaSet {
 public:
  enum class Version { kV2, kV3 };
  explicit SchemaSet(Version version);
  ~SchemaSet();

  // Adds the type and all that it refers to. With a `kind`, an object of that kind of
  // `group`/`version` of its own, with the members that such have.
  void Add(const google::protobuf::Descriptor* type, std::string_view group = {},
           std::string_view version = {}, std::string_view kind = {});

  Version version() const { return version_; }
  // The comment at a type or field in its .proto file, by its full name; empty if there is none.
  std::string Description(const std::string& element) const;
  // `"$ref":"#/…"` to the type.
  std::string Reference(const google::protobuf::Descriptor* type) const;

  // All schemas by their names, as one JSON object.
  std::string Json() const;

 private:
  struct Comments;
  std::string Property(const google::protobuf::FieldDescriptor* field);
  // Of one value: of the list's elements, or of the map's values, where there are such.
  std::string Value(const google::protobuf::FieldDescriptor* field, bool element);

  const Version version_;
  const std::unique_ptr<const Comments> comments_;
  std::map<std::string, std::string> schemas_;
};

}  // namespace strata::api

// Images and image streams as plain structs, and what the reference would store for them. Written
// apart from proto/ and codec/ on purpose, so that tests compare those with something else than
// themselves.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace strata::testing_support {

struct Metadata {
  std::string name, ns, uid;
  int64_t generation = 0;
  int64_t created = 0;  // seconds since 1970
  std::map<std::string, std::string> labels, annotations;
  struct ManagedFields {
    std::string manager, operation, subresource;
    int64_t time = 0;
    std::string fields;  // JSON
  };
  std::vector<ManagedFields> managed_fields;
};

struct Layer {
  std::string name;
  int64_t size = 0;
  std::string media_type;
};

struct Child {
  std::string digest, media_type;
  int64_t size = 0;
  std::string architecture, os, variant;
};

struct Image {
  Metadata metadata;
  std::string reference;
  std::string docker_metadata;  // JSON, without a line feed
  std::string docker_metadata_version = "1.0";
  std::string manifest;
  std::string media_type;
  std::string config;
  std::vector<Layer> layers;
  std::vector<Child> children;
};

struct TagEvent {
  int64_t created = 0;
  std::string reference, image;
  int64_t generation = 0;
};

struct Tag {
  std::string name;
  std::vector<TagEvent> items;
};

struct TagSpec {
  std::string name;
  std::string from_kind, from_name;  // no `from` if the kind is empty
  std::optional<int64_t> generation;
  bool scheduled = false;
  std::string import_mode = "Legacy";
};

struct ImageStream {
  Metadata metadata;
  bool local = false;
  std::vector<TagSpec> spec_tags;
  std::string repository;
  std::vector<Tag> tags;  // sorted by name, as the reference stores them
};

// The message alone, as gogo-protobuf writes it: non-nullable fields always, map keys sorted.
std::string ToProtobuf(const Image& image);
std::string ToProtobuf(const ImageStream& stream);

// JSON on one line, with kind and apiVersion.
std::string ToJson(const Image& image, std::string_view api_version = "image.openshift.io/v1");
std::string ToJson(const ImageStream& stream,
                   std::string_view api_version = "image.openshift.io/v1");

// "k8s\0" and a runtime.Unknown around `object`.
std::string Envelope(std::string_view api_version, std::string_view kind, std::string_view object);

// A quoted JSON string, escaped as Go does it.
std::string JsonString(std::string_view text);

// 2006-01-02T15:04:05Z
std::string Rfc3339(int64_t seconds);

}  // namespace strata::testing_support

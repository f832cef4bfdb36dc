// Any bytes as a stored Image and ImageStream: if they are an object, it can be shown in each form
// that lists have, and each form is valid.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/codec/json_syntax.h"
#include "lib/codec/yaml.h"
#include "proto/k8s/list.pb.h"
#include "proto/k8s/runtime.pb.h"
#include "server/objects/image_kinds.h"
#include "server/objects/list_encoder.h"

namespace {

using namespace strata;
using objects::ListForm;
using wire::MediaType;
using wire::Transform;

constexpr std::array kForms = {
    ListForm{{MediaType::kJson}},
    ListForm{{MediaType::kYaml}},
    ListForm{{MediaType::kProtobuf}},
    ListForm{{MediaType::kJson, true, Transform::kTable}, api::RowObject::kObject},
    ListForm{{MediaType::kJson, false, Transform::kPartialObjectMetadataList}},
    ListForm{{MediaType::kProtobuf, false, Transform::kPartialObjectMetadataList}},
};

void CheckYaml(const std::string& yaml) {
  int documents = 0;
  const auto read = codec::ForEachYamlDocument(yaml, [&](const codec::YamlDocument&) {
    ++documents;
    return true;
  });
  if (!read.ok() || documents != 1) std::abort();
}

void CheckProtobuf(const std::string& bytes, size_t items) {
  k8s::io::apimachinery::pkg::runtime::Unknown envelope;
  k8s::io::apimachinery::pkg::apis::meta::v1::RawList list;
  if (!envelope.ParseFromString(bytes.substr(4)) || !list.ParseFromString(envelope.raw()) ||
      static_cast<size_t>(list.items_size()) != items)
    std::abort();
}

void CheckList(const registry::Resource& resource, const std::vector<objects::Object>& shown) {
  for (const ListForm& form : kForms) {
    const objects::ListEncoder encoder(resource, form, base::WallTime(std::chrono::seconds(1)));
    std::string items;
    for (const objects::Object& object : shown)
      encoder.Append(*object.message, items.empty(), items);
    const auto around = encoder.Around({}, items.size());
    const std::string list = around.head + items + around.tail;
    switch (form.representation.type) {
      case MediaType::kJson:
        if (!codec::JsonProblem(list).empty()) std::abort();
        break;
      case MediaType::kYaml:
        CheckYaml(list);
        break;
      default:
        CheckProtobuf(list, shown.size());
    }
  }
}

void Show(const objects::Kind& kind, const records::Change& record) {
  std::optional<objects::Object> object = kind.Parse(record);
  if (!object || !kind.Present(record.revision, *object)) return;
  std::vector<objects::Object> shown;
  if (kind.expand == nullptr) {
    shown.push_back(std::move(*object));
  } else {
    kind.expand(*object->message, 0, [&](objects::Object one) {
      shown.push_back(std::move(one));
      return true;
    });
  }
  for (const objects::Object& one : shown) {
    for (const std::string_view path : {"metadata.name", "spec.tags", "dockerImageReference"})
      (void)objects::FieldAt(*one.message, path);
  }
  CheckList(kind.resource, shown);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const objects::ImageKinds kinds({"registry.svc:5000", "registry.example.com"});
  const std::string value(reinterpret_cast<const char*>(data), size);
  for (const objects::Kind* kind :
       {&kinds.streams, &kinds.images, &kinds.stream_tags, &kinds.tags}) {
    const bool image = kind->record == records::Kind::kImage;
    records::Change record = records::Decode({kind->record, image ? "" : "ns", "name"}, value, 7);
    if (record.state == records::Change::State::kUnreadable) record.object = value;
    record.state = records::Change::State::kPresent;
    Show(*kind, record);
  }
  return 0;
}

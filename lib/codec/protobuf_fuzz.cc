// Any bytes as the protobuf of what is stored, or of what kube-apiserver says: what is read
// survives a round through each form, and is valid in each.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "lib/codec/decode_json.h"
#include "lib/codec/encode_json.h"
#include "lib/codec/encode_protobuf.h"
#include "lib/codec/json_syntax.h"
#include "lib/codec/yaml.h"
#include "proto/image/docker_v10.pb.h"
#include "proto/image/image_v1.pb.h"
#include "proto/k8s/core_v1.pb.h"
#include "proto/k8s/rbac_v1.pb.h"
#include "test/fuzz/input.h"

namespace {

using google::protobuf::Message;
using namespace strata::codec;
namespace image_v1 = github::com::openshift::api::image::v1;

const Message& PrototypeOf(uint8_t which) {
  const std::array<const Message*, 6> prototypes = {
      &image_v1::Image::default_instance(),
      &image_v1::ImageStream::default_instance(),
      &image_v1::SecretList::default_instance(),
      &github::com::openshift::api::image::docker10::DockerImage::default_instance(),
      &k8s::io::api::core::v1::ConfigMap::default_instance(),
      &k8s::io::api::rbac::v1::ClusterRole::default_instance(),
  };
  return *prototypes[which % prototypes.size()];
}

// What isn't UTF-8 is gone after it was read once.
void CheckJson(const std::string& json, const Message& prototype) {
  const std::unique_ptr<Message> once(prototype.New()), twice(prototype.New());
  if (!DecodeJson(json, *once).ok()) return;
  const std::string again = EncodeJson(*once);
  if (!DecodeJson(again, *twice).ok() || EncodeJson(*twice) != again) std::abort();
}

void CheckYaml(const std::string& json) {
  const std::string yaml = JsonToYaml(json);
  int documents = 0;
  const auto read = ForEachYamlDocument(yaml, [&](const YamlDocument& document) {
    if (JsonToYaml(document.json) != yaml) std::abort();
    return ++documents > 0;
  });
  if (!read.ok() || documents != 1) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  strata::fuzz::Input input(data, size);
  const Message& prototype = PrototypeOf(input.Byte());
  const std::unique_ptr<Message> message(prototype.New());
  const std::string_view bytes = input.Rest();
  if (!message->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return 0;

  const std::string encoded = EncodeProtobuf(*message);
  const std::unique_ptr<Message> copy(prototype.New());
  if (!copy->ParseFromString(encoded) || EncodeProtobuf(*copy) != encoded) std::abort();

  const std::string json = EncodeJson(*message);
  if (!JsonProblem(json).empty() || EncodeJson(*copy) != json) std::abort();
  CheckJson(json, prototype);
  CheckYaml(json);
  return 0;
}

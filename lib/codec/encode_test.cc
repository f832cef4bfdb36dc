#include <gtest/gtest.h>

#include "lib/base/bytes.h"
#include "lib/codec/encode_json.h"
#include "lib/codec/encode_protobuf.h"
#include "proto/image/image_v1.pb.h"
#include "proto/k8s/meta_v1.pb.h"

namespace strata::codec {
namespace {

namespace meta = ::k8s::io::apimachinery::pkg::apis::meta::v1;
namespace image = ::github::com::openshift::api::image::v1;

TEST(Encode, EmptyMessagesPrintWhatGoPrintsForZeroValues) {
  EXPECT_EQ(EncodeJson(meta::ObjectMeta()), "{}");
  EXPECT_EQ(EncodeJson(meta::Status(), {"Status", "v1"}),
            R"({"kind":"Status","apiVersion":"v1","metadata":{}})");
  EXPECT_EQ(EncodeJson(image::ImageStreamLayers()), R"({"metadata":{},"blobs":{},"images":{}})");
  EXPECT_EQ(EncodeJson(image::ImageBlobReferences()),
            R"({"imageMissing":false,"layers":null,"config":null})");
  EXPECT_EQ(EncodeJson(image::ImageLayerData()), R"({"size":null,"mediaType":""})");
  EXPECT_EQ(EncodeJson(image::Image()), R"({"metadata":{},"dockerImageMetadata":null})");
  EXPECT_EQ(
      EncodeJson(image::TagReference()),
      R"({"name":"","annotations":null,"generation":null,"importPolicy":{},"referencePolicy":{"type":""}})");
  EXPECT_EQ(
      EncodeJson(image::ImageStream()),
      R"({"metadata":{},"spec":{"lookupPolicy":{"local":false}},"status":{"dockerImageRepository":""}})");
  EXPECT_EQ(EncodeJson(image::TagEvent()),
            R"({"created":null,"dockerImageReference":"","image":"","generation":0})");
  EXPECT_EQ(EncodeJson(meta::APIResource()),
            R"({"name":"","singularName":"","namespaced":false,"kind":"","verbs":null})");
}

TEST(Encode, ValuesPrintInTheOrderOfGoMembers) {
  image::SignatureSubject subject;
  subject.mutable_signature_generic_entity()->set_organization("o");
  subject.set_public_key_id("k");
  EXPECT_EQ(EncodeJson(subject), R"({"organization":"o","publicKeyID":"k"})");

  meta::ObjectMeta metadata;
  metadata.set_name("x");
  metadata.mutable_creation_timestamp()->set_seconds(1'700'000'000);
  (*metadata.mutable_labels())["b"] = "<";
  (*metadata.mutable_labels())["a"] = "1";
  metadata.set_deletion_grace_period_seconds(0);
  auto* managed = metadata.add_managed_fields();
  managed->mutable_fields_v1()->set_raw("{ \"f:x\": {} }");
  auto* owner = metadata.add_owner_references();
  owner->set_controller(false);
  EXPECT_EQ(
      EncodeJson(metadata),
      R"({"name":"x","creationTimestamp":"2023-11-14T22:13:20Z","deletionGracePeriodSeconds":0,)"
      R"("labels":{"a":"1","b":"\u003c"},)"
      R"("ownerReferences":[{"apiVersion":"","kind":"","name":"","uid":"","controller":false}],)"
      R"("managedFields":[{"fieldsV1":{"f:x":{}}}]})");
}

TEST(Encode, TheFirstMomentOfTheYearOneIsNoTime) {
  meta::ObjectMeta metadata;
  metadata.mutable_creation_timestamp()->set_seconds(-62'135'596'800);
  EXPECT_EQ(EncodeJson(metadata), "{}");
  EXPECT_EQ(EncodeProtobuf(metadata), EncodeProtobuf(meta::ObjectMeta()));
}

TEST(Encode, ProtobufWritesMembersThatAreNotPointersEvenWhenEmpty) {
  const struct {
    const google::protobuf::Message& message;
    std::string_view hex;
  } kCases[] = {
      {image::ImageBlobReferences(), "1800"},
      {image::ImageLayerData(), "1200"},
      {meta::ObjectMeta(), "0a0012001a0022002a00320038004200"},
      {meta::Status(), "0a060a0012001a0012001a0022003000"},
      {meta::Time(), ""},
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(base::ToHex(EncodeProtobuf(c.message)), c.hex) << c.message.GetTypeName();
  }
  meta::Time epoch;
  epoch.set_seconds(0);
  EXPECT_EQ(base::ToHex(EncodeProtobuf(epoch)), "08001000");
}

TEST(Encode, ProtobufSortsMapsByKey) {
  image::ImageStreamLayers layers;
  (*layers.mutable_blobs())["b"].set_size(0);
  (*layers.mutable_blobs())["a"];
  const std::string bytes = EncodeProtobuf(layers);
  EXPECT_TRUE(
      bytes.ends_with(std::string_view("\x12\x07\x0a\x01"
                                       "a\x12\x02\x12\x00\x12\x09\x0a\x01"
                                       "b\x12\x04\x08\x00\x12\x00",
                                       20)))
      << base::ToHex(bytes);
}

}  // namespace
}  // namespace strata::codec

// Any message of ours survives every form it has.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <string>

#include "lib/codec/decode_json.h"
#include "lib/codec/encode_json.h"
#include "lib/codec/encode_protobuf.h"
#include "lib/codec/json_text.h"
#include "lib/codec/plan.h"
#include "lib/codec/yaml.h"
#include "proto/image/image_v1.pb.h"
#include "proto/k8s/apidiscovery_v2.pb.h"
#include "proto/k8s/meta_v1.pb.h"

namespace strata::codec {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
namespace image = ::github::com::openshift::api::image::v1;
namespace meta = ::k8s::io::apimachinery::pkg::apis::meta::v1;

std::string AnyText() {
  return *rc::gen::oneOf(
      rc::gen::element<std::string>(
          "", "a", "sha256:0f", "true", "12", "1.5", "2026-11-23T08:12:32Z", "x: y", "- x", " x ",
          "<&>", "größe", "😀", "l1\nl2\n", "l1\n l2", "\n", "\\ \"'", "#", "a #b", "~", "{x}",
          "\t", "\x01\x7f", "\xEF\xBB\xBF", "\xC2\x85", "a\u2028b", "a\u0085b", "\r\n",
          std::string("\0", 1), std::string(130, 'k'),
          "a sentence of words that is longer than the eighty "
          "characters at which YAML is folded, and has  two spaces: and a colon"),
      rc::gen::container<std::string>(rc::gen::inRange<char>(0x20, 0x7f)));
}

void Fill(Message& message, int depth);

void FillForm(Message& message, json::Form form, int depth) {
  const auto* reflection = message.GetReflection();
  const FieldDescriptor* first = message.GetDescriptor()->FindFieldByNumber(1);
  switch (form) {
    case json::TIME:
    case json::MICRO_TIME:
      reflection->SetInt64(&message, first,
                           *rc::gen::inRange<int64_t>(-62'135'596'799, 253'402'300'799));
      reflection->SetInt32(&message, message.GetDescriptor()->FindFieldByNumber(2),
                           form == json::TIME ? 0 : *rc::gen::inRange(0, 1'000'000) * 1000);
      return;
    case json::RAW:
      reflection->SetString(
          &message, first,
          *rc::gen::element<std::string>("{}", "[1,2.5]", R"({"a":{"f:b":{}},"c":[null,"x"]})"));
      return;
    default:
      Fill(message, depth);
  }
}

void FillOne(Message& message, const FieldDescriptor* field, int depth) {
  const auto* reflection = message.GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      reflection->SetString(&message, field, AnyText());
      return;
    case FieldDescriptor::CPPTYPE_BOOL:
      reflection->SetBool(&message, field, *rc::gen::arbitrary<bool>());
      return;
    case FieldDescriptor::CPPTYPE_INT32:
      reflection->SetInt32(&message, field, *rc::gen::arbitrary<int32_t>());
      return;
    case FieldDescriptor::CPPTYPE_INT64:
      reflection->SetInt64(&message, field, *rc::gen::arbitrary<int64_t>());
      return;
    default: {
      Message& inner = *reflection->MutableMessage(&message, field);
      FillForm(inner, PlanOf(field->message_type()).form, depth - 1);
    }
  }
}

void FillRepeated(Message& message, const FieldDescriptor* field, int depth) {
  const auto* reflection = message.GetReflection();
  const int count = *rc::gen::inRange(0, 3);
  for (int i = 0; i < count; ++i) {
    if (field->is_map()) {
      Message* entry = reflection->AddMessage(&message, field);
      // Keys differ, for a map has each once.
      entry->GetReflection()->SetString(entry, field->message_type()->map_key(),
                                        AnyText() + std::to_string(i));
      FillOne(*entry, field->message_type()->map_value(), depth);
    } else if (field->message_type() != nullptr) {
      FillForm(*reflection->AddMessage(&message, field), PlanOf(field->message_type()).form,
               depth - 1);
    } else {
      reflection->AddString(&message, field, AnyText());
    }
  }
}

// Deeper down fields are rarer, so that it ends.
void Fill(Message& message, int depth) {
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message.GetDescriptor()->field(i);
    if (depth <= 0 || *rc::gen::inRange(0, 4) != 0) continue;
    if (field->is_repeated()) {
      FillRepeated(message, field, depth);
    } else {
      FillOne(message, field, depth);
    }
  }
}

template <typename T>
void SurvivesEveryForm() {
  T message;
  Fill(message, 5);
  const std::string json = EncodeJson(message, {"Kind", "group/v1"});
  const std::string protobuf = EncodeProtobuf(message);

  std::string compact;
  RC_ASSERT(AppendCompact(json, compact));
  RC_ASSERT(compact == json);

  T from_json;
  const auto type = DecodeJson(json, from_json);
  RC_ASSERT(type.ok());
  RC_ASSERT(type->kind == "Kind");
  RC_ASSERT(EncodeJson(from_json, {"Kind", "group/v1"}) == json);

  T from_protobuf;
  RC_ASSERT(from_protobuf.ParseFromString(protobuf));
  RC_ASSERT(EncodeProtobuf(from_protobuf) == protobuf);
  RC_ASSERT(EncodeJson(from_protobuf, {"Kind", "group/v1"}) == json);

  T from_pretty;
  RC_ASSERT(DecodeJson(Indent(json), from_pretty).ok());
  RC_ASSERT(EncodeJson(from_pretty, {"Kind", "group/v1"}) == json);

  int documents = 0;
  const base::Status read =
      ForEachYamlDocument(JsonToYaml(json), [&](const YamlDocument& document) {
        T from_yaml;
        RC_ASSERT(DecodeJson(document.json, from_yaml).ok());
        RC_ASSERT(EncodeJson(from_yaml, {"Kind", "group/v1"}) == json);
        ++documents;
        return true;
      });
  RC_ASSERT(read.ok());
  RC_ASSERT(documents == 1);
}

TEST(RoundTrip, EveryMessageSurvivesJsonProtobufPrettyJsonAndYaml) {
  EXPECT_TRUE(rc::check("Image", SurvivesEveryForm<image::Image>));
  EXPECT_TRUE(rc::check("ImageStream", SurvivesEveryForm<image::ImageStream>));
  EXPECT_TRUE(rc::check("ImageStreamLayers", SurvivesEveryForm<image::ImageStreamLayers>));
  EXPECT_TRUE(rc::check("ImageStreamImport", SurvivesEveryForm<image::ImageStreamImport>));
  EXPECT_TRUE(rc::check("ImageTag", SurvivesEveryForm<image::ImageTag>));
  EXPECT_TRUE(rc::check("SecretList", SurvivesEveryForm<image::SecretList>));
  EXPECT_TRUE(rc::check("Status", SurvivesEveryForm<meta::Status>));
  EXPECT_TRUE(rc::check("APIResourceList", SurvivesEveryForm<meta::APIResourceList>));
  EXPECT_TRUE(rc::check("APIGroupDiscoveryList",
                        SurvivesEveryForm<k8s::io::api::apidiscovery::v2::APIGroupDiscoveryList>));
}

}  // namespace
}  // namespace strata::codec

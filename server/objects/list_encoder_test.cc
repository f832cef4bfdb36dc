#include "server/objects/list_encoder.h"

#include <gtest/gtest.h>

#include "lib/codec/encode_json.h"
#include "lib/codec/yaml.h"
#include "proto/image/image_v1.pb.h"
#include "server/registry/image_v1.h"
#include "server/wire/encode.h"

namespace strata::objects {
namespace {

namespace v1 = ::github::com::openshift::api::image::v1;
using wire::MediaType;
using wire::Transform;

v1::ImageStreamList StreamsOf(int count) {
  v1::ImageStreamList list;
  list.mutable_metadata()->set_resource_version("7");
  list.mutable_metadata()->set_continue_("more");
  list.mutable_metadata()->set_remaining_item_count(3);
  for (int i = 0; i < count; ++i) {
    v1::ImageStream& stream = *list.add_items();
    stream.mutable_metadata()->set_name("s" + std::to_string(i));
    (*stream.mutable_metadata()->mutable_annotations())["text"] =
        "two lines\n\nand a <third>: #'\"\n" + std::string(100, 'x') + " " + std::string(80, 'y');
    (*stream.mutable_metadata()->mutable_annotations())["words"] =
        "some forty words that are folded \xe2\x80\xa8 where the line ends, which is farther to "
        "the "
        "right the more it is indented, and so on";
    (*stream.mutable_metadata()->mutable_annotations())["empty"] = "";
  }
  return list;
}

std::string InPieces(const v1::ImageStreamList& list, const ListForm& form) {
  const ListEncoder encoder(registry::ImageStreams(), form, base::WallTime());
  std::string items;
  for (int i = 0; i < list.items_size(); ++i) encoder.Append(list.items(i), i == 0, items);
  const ListEncoder::Frame frame = encoder.Around(list.metadata(), items.size());
  return frame.head + items + frame.tail;
}

TEST(ListEncoder, PiecesAreTheBytesOfTheWholeList) {
  const codec::TypeMeta type{registry::ImageStreams().list_kind,
                             registry::ImageV1().group_version()};
  for (const int count : {1, 3}) {
    const v1::ImageStreamList list = StreamsOf(count);
    for (const wire::Representation& representation : {wire::Representation{MediaType::kJson},
                                                       {MediaType::kJson, /*pretty=*/true},
                                                       {MediaType::kYaml},
                                                       {MediaType::kProtobuf}}) {
      EXPECT_EQ(InPieces(list, {representation}), wire::Encode(list, type, representation))
          << count << " " << static_cast<int>(representation.type) << representation.pretty;
    }
  }
}

TEST(ListEncoder, TablesAndMetadataAreListsTooInEachForm) {
  const v1::ImageStreamList list = StreamsOf(2);
  for (const Transform transform : {Transform::kTable, Transform::kPartialObjectMetadataList}) {
    const std::string json =
        InPieces(list, {{MediaType::kJson, false, transform}, api::RowObject::kObject});
    const std::string whole = json.substr(0, json.size() - 1);
    for (const wire::Representation& representation :
         {wire::Representation{MediaType::kJson, true, transform},
          {MediaType::kYaml, false, transform}}) {
      EXPECT_EQ(InPieces(list, {representation, api::RowObject::kObject}),
                wire::EncodeText(whole, representation));
    }
  }
}

TEST(ListEncoder, AnEmptyListIsOne) {
  const v1::ImageStreamList list = StreamsOf(0);
  EXPECT_TRUE(InPieces(list, {{MediaType::kJson}}).ends_with("\"items\":[]}\n"));
  EXPECT_TRUE(InPieces(list, {{MediaType::kJson, true}}).ends_with("\"items\": []\n}"));
  EXPECT_NE(InPieces(list, {{MediaType::kYaml}}).find("\nitems: []\n"), std::string::npos);
}

// Go's slices of these are nil where nothing was added to them.
TEST(ListEncoder, AnEmptyListOfMetadataIsNull) {
  const auto empty = [](MediaType type) {
    return InPieces(v1::ImageStreamList(), {{type, false, Transform::kPartialObjectMetadataList}});
  };
  EXPECT_EQ(empty(MediaType::kJson),
            R"({"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{},)"
            "\"items\":null}\n");
  EXPECT_EQ(empty(MediaType::kYaml),
            "apiVersion: meta.k8s.io/v1\nitems: null\nkind: PartialObjectMetadataList\n"
            "metadata: {}\n");
}

}  // namespace
}  // namespace strata::objects

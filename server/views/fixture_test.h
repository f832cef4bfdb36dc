// An index whose views are looked at.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/codec/encode_json.h"
#include "lib/codec/encode_protobuf.h"
#include "server/layers/index.h"
#include "server/layers/records_fixture_test.h"

namespace strata::views {

using layers::Change;
using layers::Changes;
using layers::ImageBytes;
using layers::ListBytes;
using layers::StreamBytes;

// An image whose layers have these sizes.
inline std::string SizedBytes(const std::vector<std::pair<std::string, int64_t>>& layers) {
  layers::image_v1::Image image;
  for (const auto& [name, size] : layers) {
    auto* layer = image.add_docker_image_layers();
    layer->set_name(name);
    layer->set_size(size);
  }
  return codec::EncodeProtobuf(image);
}

class Views : public testing::Test {
 protected:
  Views() { List(5, {}); }

  void List(base::Revision revision, const Changes& changes) {
    index.BeginList();
    index.AddToList(changes.all());
    index.EndList(revision);
  }
  void Apply(const Changes& changes) { index.Apply(changes.all()); }

  static std::string Json(const google::protobuf::Message& object) {
    return codec::EncodeJson(object);
  }

  layers::Index index{{.for_views = true}, {}};
};

}  // namespace strata::views

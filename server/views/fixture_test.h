// An index whose views are looked at.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "lib/codec/encode_json.h"
#include "server/layers/index.h"
#include "server/layers/test_records.h"

namespace strata::views {

using layers::Change;
using layers::Changes;
using layers::ImageBytes;
using layers::ListBytes;
using layers::StreamBytes;

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

// A list as bytes, piece by piece: its head, its items one after the other, its tail. So a list of
// any size is sent while it is read (k8s.io/apimachinery pkg/runtime/serializer/json/collections.go
// does so too, of a list that it holds).
#pragma once

#include <google/protobuf/message.h>

#include <cstddef>
#include <string>

#include "lib/base/clock.h"
#include "proto/k8s/meta_v1.pb.h"
#include "server/api/table.h"
#include "server/registry/resource.h"
#include "server/wire/negotiate.h"

namespace strata::objects {

namespace meta = ::k8s::io::apimachinery::pkg::apis::meta::v1;

// The form that a list was negotiated in.
struct ListForm {
  wire::Representation representation;
  api::RowObject include = api::RowObject::kMetadata;  // of a table
};

// Of one list. Immutable.
class ListEncoder {
 public:
  ListEncoder(const registry::Resource& resource, const ListForm& form, base::WallTime now);

  // Whether the bytes of all items have to be known before the head is written.
  bool needs_size() const { return form_.representation.type == wire::MediaType::kProtobuf; }

  struct Frame {
    std::string head, tail;
  };
  // Around `items` of so many bytes in all; whether there are any is what counts, but where
  // needs_size.
  Frame Around(const meta::ListMeta& metadata, size_t item_bytes) const;

  // With what separates it from the one before, if it isn't the first.
  void Append(const google::protobuf::Message& object, bool first, std::string& out) const;

 private:
  codec::TypeMeta type() const;
  std::string ShellStart(const meta::ListMeta& metadata) const;
  Frame AroundProtobuf(const meta::ListMeta& metadata, size_t item_bytes) const;
  void AppendJsonItem(const google::protobuf::Message& object, std::string& out) const;
  bool is_table() const { return form_.representation.transform == wire::Transform::kTable; }
  bool is_metadata() const {
    return form_.representation.transform == wire::Transform::kPartialObjectMetadataList;
  }

  const registry::Resource& resource_;
  const ListForm form_;
  const base::WallTime now_;
  const std::string_view meta_version_;  // of what meta.k8s.io makes of lists
};

}  // namespace strata::objects

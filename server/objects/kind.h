// How the objects of a resource are made of records of the backend: values that lists and watches
// share.
#pragma once

#include <absl/functional/function_ref.h>
#include <google/protobuf/message.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/revision.h"
#include "lib/image/presentation.h"
#include "proto/k8s/meta_v1.pb.h"
#include "server/registry/resource.h"
#include "storage/records/record.h"

namespace strata::objects {

namespace meta = ::k8s::io::apimachinery::pkg::apis::meta::v1;

// One object, and what selectors ask of it.
struct Object {
  std::unique_ptr<google::protobuf::Message> message;
  // The values of its resource's selectable fields, in their order, as they are stored: what is
  // filled in when it is read isn't selected by (openshift-apiserver
  // pkg/image/apis/image/fields.go).
  std::vector<std::string> fields;

  const meta::ObjectMeta& metadata() const;
  meta::ObjectMeta& mutable_metadata();
};

struct Kind {
  // Whether there is room for more.
  using Sink = absl::FunctionRef<bool(Object object)>;

  const registry::Resource& resource;
  records::Kind record = records::Kind::kImageStream;
  const google::protobuf::Message& prototype;  // of records
  // Makes of a stored record what clients see, at that revision. An error says what of it can't be
  // understood.
  std::function<base::Status(base::Revision revision, google::protobuf::Message& stored)> present;
  // The objects that a presented record holds, in their order, from the one at `from` on; null: it
  // is the object. Lists of them have no revision, can't be continued, and nobody watches them.
  std::function<void(const google::protobuf::Message& record, size_t from, Sink visit)> expand =
      nullptr;
  // What else a bookmark says, which is an empty object that was presented.
  void (*decorate_bookmark)(google::protobuf::Message& object) = nullptr;

  // The record as it is stored; nothing if it was deleted, or can't be read.
  std::optional<Object> Parse(const records::Change& change) const;
  // The same without its fields, in the place of what `object` held, whose memory is used again;
  // false if there is nothing.
  bool ParseInto(const records::Change& change, Object& object) const;
  void ReadFields(Object& object) const;
  // With what is seen of it at `revision`; false if that can't be told.
  bool Present(base::Revision revision, Object& object) const;
  // What a bookmark carries: the revision that the client has come to, and whether that ends the
  // initial events.
  std::unique_ptr<google::protobuf::Message> Bookmark(base::Revision revision,
                                                      bool ends_initial_events) const;
};

// An object with the values of the fields that its resource can be selected by.
Object ObjectOf(const registry::Resource& resource,
                std::unique_ptr<google::protobuf::Message> message);

// What a dotted path names in an object, in JSON's names; empty if that isn't a text.
std::string FieldAt(const google::protobuf::Message& object, std::string_view path);

}  // namespace strata::objects

#include "storage/tool/value.h"

#include <utility>

#include "lib/codec/encode_protobuf.h"
#include "storage/records/record.h"

namespace strata::tool {
namespace {

base::Status Normalize(image_v1::Image& image) {
  image::Warnings ignored;
  return image::CheckAndFill(image, ignored);
}

base::Status Normalize(image_v1::ImageStream& stream) {
  image::Warnings ignored;
  return image::CheckAndFill(stream, "", ignored);
}

template <typename Message>
std::string NewValueOf(Message message, const records::Id& id, const std::string* existing,
                       std::string_view new_uid, int64_t now) {
  Message old;
  bool has_old = false;
  if (existing != nullptr) {
    const records::Change change = records::Decode(id, *existing, 0);
    has_old =
        change.state == records::Change::State::kPresent && old.ParseFromString(change.object);
  }
  KeepIdentity(has_old ? &old.metadata() : nullptr, new_uid, now, *message.mutable_metadata());
  const std::string object = codec::EncodeProtobuf(message);
  if (has_old && Normalize(old).ok() && codec::EncodeProtobuf(old) == object) return {};
  return records::Encode(id.kind, object);
}

}  // namespace

std::string NewValue(const ParsedRecord& record, const std::string* existing,
                     std::string_view new_uid, int64_t now) {
  return std::visit(
      [&](const auto& message) { return NewValueOf(message, record.id(), existing, new_uid, now); },
      record.object);
}

}  // namespace strata::tool

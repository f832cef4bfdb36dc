#include "server/kube/watch_events.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <iterator>

#include "lib/base/bytes.h"
#include "proto/k8s/meta_v1.pb.h"
#include "server/kube/envelope.h"

namespace strata::kube {
namespace {

namespace meta = ::k8s::io::apimachinery::pkg::apis::meta::v1;

constexpr size_t kLengthBytes = 4;
constexpr int kExpired = 410;
constexpr std::string_view kTypes[] = {"ADDED", "MODIFIED", "DELETED", "BOOKMARK"};

bool Parse(google::protobuf::Message& message, std::string_view bytes) {
  return message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

base::Status ErrorIn(const WatchEvents::Object& object) {
  meta::Status status;
  Parse(status, object.raw());
  return base::Error(
      status.code() == kExpired ? base::StatusCode::kOutOfRange : base::StatusCode::kUnavailable,
      base::Printable(status.message(), 300));
}

}  // namespace

base::Status WatchEvents::Add(std::string_view bytes, Visit visit) {
  buffer_ += bytes;
  size_t at = 0;
  while (buffer_.size() - at >= kLengthBytes) {
    size_t length = 0;
    for (size_t i = 0; i < kLengthBytes; ++i)
      length = length << 8 | static_cast<uint8_t>(buffer_[at + i]);
    if (length > max_frame_bytes_)
      return base::DataLossError(fmt::format("a frame of {} bytes", length));
    if (buffer_.size() - at - kLengthBytes < length) break;
    STRATA_RETURN_IF_ERROR(
        VisitFrame(std::string_view(buffer_).substr(at + kLengthBytes, length), visit));
    at += kLengthBytes + length;
  }
  buffer_.erase(0, at);
  return base::OkStatus();
}

base::Status WatchEvents::VisitFrame(std::string_view frame, Visit visit) {
  meta::WatchEvent event;
  Object object;
  if (!Parse(event, frame) || !OpenEnvelope(event.object().raw(), object))
    return base::DataLossError("a malformed event");
  if (event.type() == "ERROR") return ErrorIn(object);
  // What a later API server might say isn't guessed at.
  if (std::ranges::find(kTypes, event.type()) == std::end(kTypes)) {
    return base::DataLossError(
        fmt::format("an event of type \"{}\" came", base::Printable(event.type(), 40)));
  }
  return visit(event.type(), object);
}

}  // namespace strata::kube

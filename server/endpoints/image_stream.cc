#include "server/endpoints/image_stream.h"

#include <atomic>
#include <optional>
#include <string>
#include <utility>

#include "lib/image/object_name.h"
#include "proto/k8s/meta_v1.pb.h"
#include "server/endpoints/form.h"
#include "server/endpoints/get_request.h"
#include "server/wire/encode.h"
#include "server/wire/gzip.h"
#include "storage/records/record.h"

namespace strata::endpoints {
namespace {

namespace v1 = ::github::com::openshift::api::image::v1;
namespace meta = ::k8s::io::apimachinery::pkg::apis::meta::v1;

std::string Encode(const registry::Resource& resource, const v1::ImageStream& stream,
                   const wire::Representation& form) {
  if (form.transform == wire::Transform::kNone)
    return wire::Encode(stream, resource.type_meta(), form);
  meta::PartialObjectMetadata partial;
  *partial.mutable_metadata() = stream.metadata();
  return wire::Encode(
      partial, {"PartialObjectMetadata", form.beta ? "meta.k8s.io/v1beta1" : "meta.k8s.io/v1"},
      form);
}

}  // namespace

ImageStreamHandler::ImageStreamHandler(client::Client& client, records::Keys keys,
                                       Freshness& freshness, Lane readers,
                                       image::RegistryHostnames registry)
    : client_(client),
      keys_(std::move(keys)),
      freshness_(freshness),
      readers_(std::move(readers)),
      registry_(std::move(registry)) {}

void ImageStreamHandler::Serve(std::shared_ptr<Call> call) {
  if (const auto refused = RefuseGet(*call)) return call->Fail(*refused);
  // It would be another key's path.
  if (!image::IsPathSegment(call->info->ns))
    return call->Fail(api::NotFound(*call->resource, call->info->name));
  freshness_.Wait(std::move(call), *this);
}

void ImageStreamHandler::ServeFresh(const std::shared_ptr<Call>& call) {
  // Who comes first has the call: the reader, or its end while it waits for one.
  struct Turn {
    std::atomic<bool> taken = false;
    uint64_t ticket = 0;
  };
  const auto turn = std::make_shared<Turn>();
  call->OnEnd([this, turn, weak = std::weak_ptr<Call>(call)](Call::End end) {
    if (turn->taken.exchange(true)) return;
    const std::shared_ptr<Call> ended = weak.lock();
    readers_.withdraw(turn->ticket);
    if (ended != nullptr) ended->Abandon(end);
  });
  if (turn->taken) return;
  std::function<void()> task = [this, call, turn] {
    if (!turn->taken.exchange(true)) call->Guard([&] { Read(*call); });
  };
  turn->ticket = readers_.submit(task, {call->user->name});
  if (turn->ticket == 0 && !turn->taken.exchange(true)) call->Fail(api::TooManyRequests());
}

void ImageStreamHandler::Read(Call& call) const {
  const std::string key =
      keys_.KeyOf({records::Kind::kImageStream, call.info->ns, call.info->name});
  const auto found =
      client_.Range({.key = key, .traceparent = call.info->traceparent}, call.deadline);
  if (!found.ok()) {
    if (found.status().code() == base::StatusCode::kDeadlineExceeded)
      return call.Fail(api::RequestTimeout());
    return call.Fail(api::StorageTimeout("the storage backend can't be read"));
  }
  if (found->kvs.empty()) return call.Fail(api::NotFound(*call.resource, call.info->name));
  Answer(call, found->kvs.front());
}

void ImageStreamHandler::Answer(Call& call, const client::KeyValue& stored) const {
  const std::optional<layers::Form> form = NegotiateForm(call);
  if (!form || RefuseListForm(call, *form)) return;
  const records::Change record =
      records::Decode({records::Kind::kImageStream, call.info->ns, call.info->name}, stored.value,
                      stored.mod_revision);
  v1::ImageStream stream;
  if (record.state != records::Change::State::kPresent || !stream.ParseFromString(record.object)) {
    return call.Fail(
        api::InternalError("the image stream can't be read: " +
                           (record.reason.empty() ? "it doesn't parse" : record.reason)));
  }
  image::Present(registry_, stored.mod_revision, stream);

  std::string body = Encode(*call.resource, stream, form->representation);
  const bool gzip = form->gzip && body.size() > wire::kGzipThreshold;
  if (gzip) body = wire::Gzip(body);
  http::Response response = ResponseIn(form->representation.type, gzip);
  response.body = std::make_shared<const std::string>(std::move(body));
  call.Respond(std::move(response));
}

}  // namespace strata::endpoints

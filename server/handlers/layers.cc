#include "server/handlers/layers.h"

#include <charconv>
#include <optional>
#include <utility>

#include "server/api/headers.h"
#include "server/wire/gzip.h"

namespace strata::handlers {
namespace {

using layers::Lookup;

// strconv.ParseUint(…, 10, 64).
struct AskedRevision {
  base::Revision value = 0;
  bool syntax_error = false;
  bool out_of_range = false;
};

AskedRevision ParseRevision(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::invalid_argument || end != text.data() + text.size())
    return {.syntax_error = true};
  if (error == std::errc::result_out_of_range) return {.out_of_range = true};
  if (value > static_cast<uint64_t>(INT64_MAX)) return {.value = INT64_MAX};
  return {.value = static_cast<base::Revision>(value)};
}

http::Response ToResponse(const std::shared_ptr<const layers::Encoded>& answer,
                          const layers::Form& form) {
  http::Response response;
  if (answer->gzipped) response.headers.Add("content-encoding", "gzip");
  response.headers.Add("content-type", std::string(wire::ContentType(form.representation.type)));
  if (answer->gzipped) response.headers.Add("vary", "Accept-Encoding");
  api::AddWarnings(answer->warnings, response.headers);
  response.body = std::shared_ptr<const std::string>(answer, &answer->body);
  return response;
}

}  // namespace

LayersHandler::LayersHandler(layers::Index& index, reflector::Barrier& barrier, Submit submit,
                             const base::Clock& clock, const Options& options)
    : index_(index),
      barrier_(barrier),
      submit_(std::move(submit)),
      clock_(clock),
      options_(options) {}

void LayersHandler::Serve(std::shared_ptr<Call> call) {
  if (call->info.ns.empty()) return call->Fail(api::BadRequest("Namespace parameter required."));
  if (call->info.name.empty()) return call->Fail(api::BadRequest("name must be provided"));
  const std::string_view text = call->info.query.Get("resourceVersion");
  const AskedRevision asked = text.empty() ? AskedRevision{} : ParseRevision(text);
  if (asked.syntax_error || asked.out_of_range) {
    return call->Fail(api::InvalidResourceVersion(text, asked.out_of_range));
  }
  // Completions come on the barrier's threads; the look-up and the answer belong to the
  // connection's.
  auto answer = [this, call](base::StatusOr<base::Revision> fresh) {
    call->Post([this, call, status = fresh.status()] {
      if (status.ok()) {
        Answer(call);
      } else {
        Refuse(*call, status);
      }
    });
  };
  if (text.empty()) return barrier_.WaitFresh(call->deadline, std::move(answer));
  barrier_.WaitFor(asked.value,
                   std::min(call->deadline, clock_.Now() + options_.named_revision_timeout),
                   std::move(answer));
}

void LayersHandler::Refuse(Call& call, const base::Status& status) {
  switch (status.code()) {
    case base::StatusCode::kFailedPrecondition:
      return call.Fail(api::ServerTimeout());
    case base::StatusCode::kOutOfRange:
      return call.Fail(
          api::TooLargeResourceVersion(call.info.query.Get("resourceVersion"), barrier_.current()));
    case base::StatusCode::kDeadlineExceeded:
      return call.Fail(api::RequestTimeout());
    case base::StatusCode::kResourceExhausted:
      return call.Fail(api::TooManyRequests());
    default:
      return call.Fail(api::StorageTimeout("the storage backend can't be read"));
  }
}

void LayersHandler::Answer(const std::shared_ptr<Call>& call) {
  const wire::Negotiation negotiation = wire::Negotiate(call->preference());
  if (negotiation.refusal != wire::Refusal::kNone)
    return call->Fail(api::NotAcceptable(negotiation.refusal));
  const std::string* encoding = call->request.headers.Find("accept-encoding");
  const layers::Form form{negotiation.representation,
                          encoding != nullptr && wire::AcceptsGzip(*encoding)};
  Lookup lookup = index_.Find(call->info.ns, call->info.name, form);
  if (lookup.result == Lookup::Result::kNotFound)
    return call->Fail(api::NotFound("imagestreams", call->info.name));
  if (form.representation.transform == wire::Transform::kPartialObjectMetadataList) {
    return call->Fail(api::NotAcceptableList("PartialObjectMetadataList"));
  }
  switch (lookup.result) {
    case Lookup::Result::kAnswer:
      return call->Respond(ToResponse(lookup.answer, form));
    case Lookup::Result::kBuild:
      return Build(call, std::move(lookup), form);
    default:
      return call->Fail(api::InternalError("the image stream can't be read: " + lookup.reason));
  }
}

void LayersHandler::Build(const std::shared_ptr<Call>& call, Lookup lookup,
                          const layers::Form& form) {
  const size_t images = lookup.gathered.nodes.size();
  std::function<void()> task = [this, call, form,
                                lookup = std::make_shared<Lookup>(std::move(lookup))] {
    call->Guard([&] {
      const auto built = index_.Build(lookup->gathered, form);
      if (built.ok()) return call->Respond(ToResponse(*built, form));
      call->Fail(api::InternalError("the image stream can't be read: " +
                                    std::string(base::Message(built.status()))));
    });
  };
  // YAML costs some ten times as much.
  const size_t few =
      form.representation.type == wire::MediaType::kYaml ? 1 : options_.inline_images;
  if (images < few) return task();
  if (!submit_(task)) call->Fail(api::TooManyRequests());
}

void AddIndexMetrics(const layers::Index& index, obs::Metrics& metrics) {
  using Stats = layers::Index::Stats;
  const auto gauge = [&](const char* name, const char* help, const obs::Labels& labels,
                         double (*read)(const Stats&)) {
    metrics.AddGaugeFunction(name, help, labels, [&index, read] { return read(index.stats()); });
  };
  const auto counter = [&](const char* name, const char* help, double (*read)(const Stats&)) {
    metrics.AddCounterFunction(name, help, {}, [&index, read] { return read(index.stats()); });
  };
  constexpr const char* kObjects = "Records of the backend that the index holds.";
  constexpr const char* kUnreadable = "Records that can't be read.";
  gauge("apiserver_storage_objects", kObjects, {{"resource", "images.image.openshift.io"}},
        [](const Stats& s) { return static_cast<double>(s.images); });
  gauge("apiserver_storage_objects", kObjects, {{"resource", "imagestreams.image.openshift.io"}},
        [](const Stats& s) { return static_cast<double>(s.streams); });
  const obs::Labels images = {{"group", "image.openshift.io"}, {"resource", "images"}};
  const obs::Labels streams = {{"group", "image.openshift.io"}, {"resource", "imagestreams"}};
  gauge("apiserver_resource_objects", kObjects, images,
        [](const Stats& s) { return static_cast<double>(s.images); });
  gauge("apiserver_resource_objects", kObjects, streams,
        [](const Stats& s) { return static_cast<double>(s.streams); });
  gauge("strata_unreadable_records", kUnreadable, {{"resource", "images"}},
        [](const Stats& s) { return static_cast<double>(s.unreadable_images); });
  gauge("strata_unreadable_records", kUnreadable, {{"resource", "imagestreams"}},
        [](const Stats& s) { return static_cast<double>(s.unreadable_streams); });
  gauge("strata_names", "Names, digests above all, that the index holds.", {},
        [](const Stats& s) { return static_cast<double>(s.names); });
  gauge("strata_name_bytes", "Bytes that they take.", {},
        [](const Stats& s) { return static_cast<double>(s.name_bytes); });
  gauge("strata_response_cache_bytes", "Bytes of the response cache.", {},
        [](const Stats& s) { return static_cast<double>(s.cache.bytes); });
  gauge("strata_response_cache_answers", "Encoded answers in the response cache.", {},
        [](const Stats& s) { return static_cast<double>(s.cache.answers); });
  counter("strata_response_cache_hits_total", "Answers sent from the response cache.",
          [](const Stats& s) { return static_cast<double>(s.hits); });
  counter("strata_response_cache_misses_total", "Answers that had to be built.",
          [](const Stats& s) { return static_cast<double>(s.misses); });
  counter("strata_response_cache_evictions_total", "Answers that made place for others.",
          [](const Stats& s) { return static_cast<double>(s.cache.evictions); });
}

}  // namespace strata::handlers

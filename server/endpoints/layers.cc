#include "server/endpoints/layers.h"

#include <optional>
#include <string>
#include <utility>

#include "server/api/headers.h"
#include "server/endpoints/form.h"
#include "server/endpoints/get_request.h"
#include "storage/records/kinds.h"

namespace strata::endpoints {
namespace {

using layers::Lookup;

http::Response ToResponse(const std::shared_ptr<const layers::Encoded>& answer,
                          const layers::Form& form) {
  http::Response response = ResponseIn(form.representation.type, answer->gzipped);
  api::AddWarnings(answer->warnings, response.headers);
  response.body = std::shared_ptr<const std::string>(answer, &answer->body);
  return response;
}

}  // namespace

LayersHandler::LayersHandler(layers::Index& index, Freshness& freshness, const Seeker& seeker,
                             Lane workers, obs::Metrics& metrics)
    : index_(index),
      freshness_(freshness),
      seeker_(seeker),
      builds_(
          index, std::move(workers),
          [this](const std::shared_ptr<Call>& call, const Builds::Result& built,
                 const layers::Form& form) { Answer(call, built, form); },
          metrics) {}

void LayersHandler::Serve(std::shared_ptr<Call> call) {
  if (const auto refused = RefuseGet(*call)) return call->Fail(*refused);
  freshness_.Wait(std::move(call), *this);
}

void LayersHandler::ServeFresh(const std::shared_ptr<Call>& call) {
  const std::optional<layers::Form> negotiated = NegotiateForm(*call);
  if (!negotiated) return;
  const layers::Form& form = *negotiated;
  Lookup lookup = index_.Find(call->info->ns, call->info->name, form);
  if (lookup.result == Lookup::Result::kNotFound)
    return Answer(call, base::NotFoundError("there is no such stream"), form);
  if (RefuseListForm(*call, form)) return;
  switch (lookup.result) {
    case Lookup::Result::kAnswer:
      return Answer(call, std::move(lookup.answer), form);
    case Lookup::Result::kSmall:
      return Answer(call, index_.Build(lookup.gathered, form), form);
    case Lookup::Result::kLarge:
      return builds_.Join(call, form, lookup.images);
    default:
      return call->Fail(api::InternalError("the image stream can't be read: " + lookup.reason));
  }
}

void LayersHandler::Answer(const std::shared_ptr<Call>& call, const Builds::Result& built,
                           const layers::Form& form) {
  if (built.ok()) {
    if ((*built)->missing.empty() || !seeker_.NeededFor(*call))
      return call->Respond(ToResponse(*built, form));
    std::vector<records::Id> missing;
    for (const std::string& image : (*built)->missing)
      missing.push_back({records::Kind::kImage, "", image});
    return seeker_.Seek(call, missing, *this,
                        [call, answer = *built, form] { call->Respond(ToResponse(answer, form)); });
  }
  switch (built.status().code()) {
    case base::StatusCode::kNotFound: {
      const auto fail = [call] { call->Fail(api::NotFound(*call->resource, call->info->name)); };
      if (!seeker_.NeededFor(*call)) return fail();
      return seeker_.Seek(call, {{records::Kind::kImageStream, call->info->ns, call->info->name}},
                          *this, fail);
    }
    case base::StatusCode::kUnavailable:
      return call->Fail(api::TooManyRequests());
    default:
      return call->Fail(api::InternalError("the image stream can't be read: " +
                                           std::string(base::Message(built.status()))));
  }
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
  const auto gauges = [&](records::Kind kind, double (*all)(const Stats&),
                          double (*unreadable)(const Stats&)) {
    const std::string resource(records::NamesOf(kind).resource), group(records::kGroup);
    gauge("apiserver_storage_objects", kObjects, {{"resource", resource + "." + group}}, all);
    gauge("apiserver_resource_objects", kObjects, {{"group", group}, {"resource", resource}}, all);
    gauge("strata_unreadable_records", kUnreadable, {{"resource", resource}}, unreadable);
  };
  gauges(
      records::Kind::kImage, [](const Stats& s) { return static_cast<double>(s.images); },
      [](const Stats& s) { return static_cast<double>(s.unreadable_images); });
  gauges(
      records::Kind::kImageStream, [](const Stats& s) { return static_cast<double>(s.streams); },
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

}  // namespace strata::endpoints

#include "server/endpoints/secrets.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "lib/image/object_name.h"
#include "proto/k8s/core_v1.pb.h"
#include "proto/k8s/runtime.pb.h"
#include "server/api/quote.h"
#include "server/endpoints/form.h"
#include "server/endpoints/get_request.h"
#include "server/endpoints/on_worker.h"
#include "server/kube/envelope.h"
#include "server/objects/list_encoder.h"

namespace strata::endpoints {
namespace {

using ::k8s::io::api::core::v1::Secret;
using std::chrono::milliseconds;

constexpr std::string_view kProtobuf = "application/vnd.kubernetes.protobuf";
// With the value "true" on a secret that isn't for images.
constexpr const char* kExcluded = "openshift.io/image.excludeSecret";
constexpr milliseconds kLongest{10'000};

// What most other secrets are: they aren't fetched, so that neither their bytes nor what they say
// comes here. Whatever else comes is left out here.
constexpr std::string_view kOthers =
    "type!=Opaque,type!=kubernetes.io/service-account-token,type!=kubernetes.io/tls,"
    "type!=kubernetes.io/basic-auth,type!=kubernetes.io/ssh-auth,"
    "type!=bootstrap.kubernetes.io/token,type!=helm.sh/release.v1";

bool IsForPulling(const Secret& secret) {
  if (secret.type() != "kubernetes.io/dockercfg" &&
      secret.type() != "kubernetes.io/dockerconfigjson")
    return false;
  const auto& annotations = secret.metadata().annotations();
  const auto excluded = annotations.find(kExcluded);
  return excluded == annotations.end() || excluded->second != "true";
}

// What the reference refuses before it asks: any query, since it can't convert one to the options
// that it wants (k8s.io/apimachinery pkg/runtime/codec.go DecodeParameters), and a namespace that
// would be another path (k8s.io/client-go rest/request.go Namespace).
std::optional<api::Error> RefuseToAsk(const api::RequestInfo& info) {
  if (!info.query.empty())
    return api::BadRequest("converting (url.Values) to (v1.ListOptions): unknown conversion");
  if (const std::string problem = image::PathSegmentProblem(info.ns); !problem.empty()) {
    return api::Error{
        500, "", fmt::format("invalid namespace {}: [{}]", api::Quote(info.ns), problem), {}};
  }
  return std::nullopt;
}

base::StatusOr<SecretsHandler::List> Parse(kube::Response response) {
  STRATA_RETURN_IF_ERROR(kube::ErrorOf(response));
  k8s::io::apimachinery::pkg::runtime::Unknown unknown;
  const bool opened = kube::OpenEnvelope(response.body, unknown);
  std::string().swap(response.body);  // it may be large
  SecretsHandler::List list;
  if (!opened || unknown.type_meta().kind() != "SecretList" ||
      unknown.type_meta().api_version() != "v1" || !list.ParseFromString(unknown.raw()))
    return base::DataLossError("kube-apiserver answered something else than a list of secrets");
  return list;
}

// That kube-apiserver doesn't know this server or lets it read nothing is no word on the user, so
// it isn't passed on as one: it is this server's failure.
api::Error FailureOf(const base::Status& status) {
  const std::string message = fmt::format("secrets can't be read: {}", base::Message(status));
  switch (status.code()) {
    case base::StatusCode::kUnavailable:
    case base::StatusCode::kDeadlineExceeded:
    case base::StatusCode::kCancelled:
      return api::StorageTimeout(message);
    default:
      return api::InternalError(message);
  }
}

std::string Encode(const SecretsHandler::List& list, const registry::Resource& resource,
                   const wire::Representation& form) {
  const objects::ListEncoder encoder(resource, {form}, /*now=*/{});
  std::string items;
  for (const Secret& secret : list.items()) encoder.Append(secret, items.empty(), items);
  objects::ListEncoder::Frame around = encoder.Around(list.metadata(), items.size());
  return std::move(around.head.append(items).append(around.tail));
}

}  // namespace

void SecretsHandler::Serve(const std::shared_ptr<Call>& call) {
  if (const auto refused = RefuseNameless(*call)) return call->Fail(*refused);
  const std::optional<layers::Form> form = NegotiateForm(*call);
  if (!form) return;
  if (const auto refused = RefuseToAsk(*call->info)) return call->Fail(*refused);
  RunFor(call, askers_, [this, call, form = *form] { Ask(*call, form); });
}

base::StatusOr<SecretsHandler::List> SecretsHandler::Fetch(const Call& call) const {
  kube::Request request;
  request.path = fmt::format("/api/v1/namespaces/{}/secrets?fieldSelector={}",
                             kube::EscapeForUrl(call.info->ns), kube::EscapeForUrl(kOthers));
  request.accept = kProtobuf;
  request.traceparent = call.info->traceparent;
  const auto left = std::chrono::duration_cast<milliseconds>(call.deadline - clock_.Now());
  request.timeout = std::clamp(left, milliseconds(1), kLongest);
  STRATA_ASSIGN_OR_RETURN(kube::Response response, kube::SendAndWait(kube_, std::move(request)));
  return Parse(std::move(response));
}

void SecretsHandler::Ask(Call& call, const layers::Form& form) const {
  base::StatusOr<List> fetched = Fetch(call);
  if (!fetched.ok())
    return call.Fail(clock_.Now() < call.deadline ? FailureOf(fetched.status())
                                                  : api::RequestTimeout());
  if (form.representation.transform == wire::Transform::kPartialObjectMetadata)
    return call.Fail(api::NotAcceptableObject(*call.resource, "PartialObjectMetadata"));
  auto& items = *fetched->mutable_items();
  items.erase(std::remove_if(items.begin(), items.end(),
                             [](const Secret& secret) { return !IsForPulling(secret); }),
              items.end());
  RespondIn(call, form, Encode(*fetched, *call.resource, form.representation));
}

}  // namespace strata::endpoints

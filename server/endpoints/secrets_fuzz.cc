// Whatever kube-apiserver answers to a list of secrets: the request is answered once, and no other
// secrets are passed on than those with which images are pulled.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>

#include "lib/codec/json_syntax.h"
#include "server/endpoints/secrets.h"
#include "server/registry/image_v1.h"
#include "test/fuzz/input.h"
#include "test/support/kube_bytes.h"

namespace {

using namespace strata;
using endpoints::SecretsHandler;

constexpr std::string_view kWithheld = "SECRET";  // the name of each that isn't for pulling

class PromptKube final : public kube::Api {
 public:
  explicit PromptKube(kube::Response answer) : answer_(std::move(answer)) {}
  void Send(kube::Request, Done done) override { done(answer_); }
  void Stream(kube::Request, Data, Done) override { std::abort(); }
  void RunAfter(std::chrono::milliseconds, std::function<void()>) override {}

 private:
  const kube::Response answer_;
};

class Asked final : public endpoints::Call {
 public:
  void Respond(http::Response response) override {
    if (answer) std::abort();
    answer = std::move(response);
  }
  void Post(std::function<void()> task) override { task(); }

  std::optional<http::Response> answer;
};

// The input's own, or secrets of some type.
std::string ListOf(fuzz::Input& input) {
  constexpr std::array kTypes = {"kubernetes.io/dockercfg", "kubernetes.io/dockerconfigjson",
                                 "Opaque", "kubernetes.io/tls"};
  if (input.Byte() == 0) return std::string(input.Rest());
  SecretsHandler::List list;
  while (!input.empty()) {
    auto& secret = *list.add_items();
    secret.set_type(kTypes[input.Byte() % kTypes.size()]);
    const bool pulls = secret.type().starts_with("kubernetes.io/docker");
    const std::string name(input.Text());
    secret.mutable_metadata()->set_name(pulls ? name : std::string(kWithheld));
    (*secret.mutable_metadata()->mutable_annotations())[std::string(input.Text())] = "true";
  }
  return list.SerializeAsString();
}

std::string Envelope(const std::string& raw) {
  k8s::io::apimachinery::pkg::runtime::Unknown unknown;
  unknown.mutable_type_meta()->set_kind("SecretList");
  unknown.mutable_type_meta()->set_api_version("v1");
  unknown.set_raw(raw);
  return std::string("k8s\0", 4) + unknown.SerializeAsString();
}

http::Response Serve(const kube::Response& from_kube, const char* accept) {
  const base::FakeClock clock;
  PromptKube kube(from_kube);
  SecretsHandler handler(kube,
                         {[](std::function<void()>& task, const endpoints::Lane::Order&) {
                            task();
                            return uint64_t{1};
                          },
                          [](uint64_t) {}},
                         clock);
  const auto call = std::make_shared<Asked>();
  call->info = api::RecallRequestInfo(
      "GET", "/apis/image.openshift.io/v1/namespaces/ns/imagestreams/app/secrets");
  call->resource = &registry::ImageStreamSecrets();
  call->user = std::make_shared<auth::UserInfo>();
  call->request.headers.Add("accept", accept);
  call->deadline = clock.Now() + std::chrono::minutes(1);
  handler.Serve(call);
  if (!call->answer || call->answer->body == nullptr) std::abort();
  return *std::move(call->answer);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // What is passed on may be called as what isn't.
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  if (all.find(kWithheld) != all.npos) return 0;
  fuzz::Input input(data, size);
  const uint8_t how = input.Byte();
  const kube::Response answer =
      how == 0 ? kube::Response{200, std::string(input.Rest())}
               : kube::Response{how % 8 == 7 ? 2 * how : 200, Envelope(ListOf(input))};
  const http::Response json = Serve(answer, "application/json");
  if (!codec::JsonProblem(*json.body).empty()) std::abort();
  for (const char* accept :
       {"application/json", "application/yaml", "application/vnd.kubernetes.protobuf"}) {
    const http::Response shown = Serve(answer, accept);
    if (shown.status != json.status) std::abort();
    // An error is told in kube-apiserver's words.
    if (how != 0 && answer.status / 100 == 2 && shown.body->find(kWithheld) != std::string::npos)
      std::abort();
  }
  return 0;
}

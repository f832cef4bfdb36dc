#include "server/endpoints/secrets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "server/registry/image_v1.h"
#include "server/wire/encode.h"

namespace strata::endpoints {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

// A Secret of core/v1, with one annotation where one is given.
struct OneSecret {
  std::string name, type, annotation, value;
};

std::string ListOf(const std::vector<OneSecret>& secrets) {
  SecretsHandler::List list;
  list.mutable_metadata()->set_resource_version("521");
  for (const OneSecret& one : secrets) {
    auto& secret = *list.add_items();
    secret.mutable_metadata()->set_name(one.name);
    secret.set_type(one.type);
    (*secret.mutable_data())[".dockercfg"] = "{\xff}";
    if (!one.annotation.empty())
      (*secret.mutable_metadata()->mutable_annotations())[one.annotation] = one.value;
  }
  return wire::Encode(list, {"SecretList", "v1"}, {.type = wire::MediaType::kProtobuf});
}

// Answers at once, always the same, and remembers what it was asked.
class PromptKube final : public kube::Api {
 public:
  void Send(kube::Request request, Done done) override {
    asked.push_back(std::move(request));
    if (meanwhile) meanwhile();
    done(answer);
  }
  void Stream(kube::Request, Data, Done) override {}
  void RunAfter(milliseconds, std::function<void()>) override {}

  base::StatusOr<kube::Response> answer = kube::Response{200, ListOf({})};
  std::vector<kube::Request> asked;
  std::function<void()> meanwhile;
};

class Asked final : public Call {
 public:
  void Respond(http::Response response) override { answer = std::move(response); }
  void Post(std::function<void()> task) override { task(); }
  void OnEnd(const std::function<void(End)>& told) override { ended = told; }
  std::string text() const { return std::to_string(answer->status) + " " + *answer->body; }

  std::optional<http::Response> answer;
  std::function<void(End)> ended;
};

class Secrets : public testing::Test {
 protected:
  // `path` is behind "namespaces/".
  std::shared_ptr<Asked> Ask(const std::string& path, const std::string& accept = "") {
    auto call = std::make_shared<Asked>();
    call->info = api::RecallRequestInfo("GET", "/apis/image.openshift.io/v1/namespaces/" + path);
    call->resource = &registry::ImageStreamSecrets();
    call->user = std::make_shared<auth::UserInfo>();
    if (!accept.empty()) call->request.headers.Add("accept", accept);
    call->deadline = clock.Now() + seconds(60);
    handler.Serve(call);
    return call;
  }
  std::string Answer(const std::string& accept = "") { return Ask(kPath, accept)->text(); }

  static constexpr const char* kPath = "ns/imagestreams/app/secrets";
  base::FakeClock clock;
  PromptKube kube;
  bool lane_runs = true;
  std::vector<std::function<void()>> waiting;
  uint64_t withdrawn = 0;
  SecretsHandler handler{kube,
                         {[this](std::function<void()>& task, const Lane::Order&) -> uint64_t {
                            if (!lane_runs) waiting.push_back(task);
                            if (lane_runs) task();
                            return 7;
                          },
                          [this](uint64_t ticket) { withdrawn = ticket; }},
                         clock};
};

TEST_F(Secrets, AreThoseWithWhichImagesArePulledUnlessTheyAreExcluded) {
  const std::string exclude = "openshift.io/image.excludeSecret";
  kube.answer =
      kube::Response{200, ListOf({{"a", "kubernetes.io/dockercfg"},
                                  {"b", "Opaque"},
                                  {"c", "kubernetes.io/dockerconfigjson", exclude, "true"},
                                  {"d", "kubernetes.io/dockerconfigjson", exclude, "True"},
                                  {"e", "kubernetes.io/dockerconfigjson2"},
                                  {"f", ""}})};
  EXPECT_EQ(Answer(),
            "200 {\"kind\":\"SecretList\",\"apiVersion\":\"image.openshift.io/v1\","
            "\"metadata\":{\"resourceVersion\":\"521\"},\"items\":["
            "{\"metadata\":{\"name\":\"a\"},\"data\":{\".dockercfg\":\"e/99\"},"
            "\"type\":\"kubernetes.io/dockercfg\"},"
            "{\"metadata\":{\"name\":\"d\",\"annotations\":{"
            "\"openshift.io/image.excludeSecret\":\"True\"}},"
            "\"data\":{\".dockercfg\":\"e/99\"},\"type\":\"kubernetes.io/dockerconfigjson\"}]}\n");
}

TEST_F(Secrets, AreAskedForOfTheNamespaceAloneAndWithoutMostThatArentWanted) {
  const auto call = Ask("a%3Fb%20c/imagestreams/nobody/secrets");
  ASSERT_EQ(kube.asked.size(), 1u);
  EXPECT_EQ(call->answer->status, 200);
  EXPECT_EQ(kube.asked[0].method, "GET");
  EXPECT_THAT(kube.asked[0].path,
              testing::StartsWith("/api/v1/namespaces/a%3Fb%20c/secrets?fieldSelector=type%21%3D"
                                  "Opaque%2Ctype%21%3D"));
  EXPECT_EQ(kube.asked[0].accept, "application/vnd.kubernetes.protobuf");
  EXPECT_EQ(kube.asked[0].timeout, seconds(10));
}

TEST_F(Secrets, HaveTheFormThatIsWanted) {
  const std::string json = "application/json", protobuf = "application/vnd.kubernetes.protobuf";
  const auto as = [](const std::string& type, const std::string& kind) {
    return type + ";as=" + kind + ";g=meta.k8s.io;v=v1";
  };
  kube.answer = kube::Response{200, ListOf({{"a", "kubernetes.io/dockercfg"}})};
  EXPECT_EQ(Answer("application/yaml"),
            "200 apiVersion: image.openshift.io/v1\nitems:\n- data:\n    .dockercfg: e/99\n"
            "  metadata:\n    name: a\n  type: kubernetes.io/dockercfg\nkind: SecretList\n"
            "metadata:\n  resourceVersion: \"521\"\n");
  EXPECT_THAT(Answer(protobuf), HasSubstr("image.openshift.io/v1\x12\nSecretList"));
  for (const std::string& type : {json, protobuf}) {
    EXPECT_THAT(Answer(as(type, "Table")), HasSubstr("only the following media types"));
    EXPECT_THAT(Answer(as(type, "PartialObjectMetadata")),
                HasSubstr("you requested PartialObjectMetadata, but the requested object is a list "
                          "(*core.SecretList)"));
  }
  EXPECT_THAT(Answer("text/html"), HasSubstr("406: Not Acceptable"));
  EXPECT_EQ(
      Answer(as(json, "PartialObjectMetadataList")),
      "200 {\"kind\":\"PartialObjectMetadataList\",\"apiVersion\":\"meta.k8s.io/v1\","
      "\"metadata\":{\"resourceVersion\":\"521\"},\"items\":[{\"kind\":"
      "\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{\"name\":\"a\"}}"
      "]}\n");
}

TEST_F(Secrets, ArentAskedForWhereTheRequestIsRefused) {
  const std::tuple<std::string, std::string, int, std::string> table[] = {
      {"ns/imagestreams/app/secrets?watch=1", "", 400,
       "converting (url.Values) to (v1.ListOptions): unknown conversion"},
      {"ns/imagestreams/app/secrets?limit=1", "", 400, "unknown conversion"},
      {"ns/imagestreams/app/secrets?export=true", "", 400, "unknown conversion"},
      {"ns/imagestreams/app/secrets?a", "", 400, "unknown conversion"},
      {"ns/imagestreams/app/secrets?a", "text/html", 406, "Available representations"},
      {"../imagestreams/app/secrets", "", 500, R"(invalid namespace \"..\": [may not be '..'])"},
      {"a%2541/imagestreams/app/secrets", "", 500, "may not contain '%'"},
  };
  for (const auto& [path, accept, code, text] : table) {
    const auto call = Ask(path, accept);
    EXPECT_EQ(call->answer->status, code) << path;
    EXPECT_THAT(*call->answer->body, HasSubstr(text)) << path;
  }
  EXPECT_TRUE(kube.asked.empty());
  // What Go finds no pair in is no query.
  for (const char* query : {"?", "?&", "?a;b", "?%zz"})
    EXPECT_EQ(Ask(std::string(kPath) + query)->answer->status, 200) << query;
}

TEST_F(Secrets, WhatKubeApiserverSaysOfThisServerIsNoWordOnTheUser) {
  const std::string forbidden =
      R"({"kind":"Status","apiVersion":"v1","status":"Failure","message":"secrets is forbidden",)"
      R"("reason":"Forbidden","code":403})";
  const std::string garbage = "k8s", other = wire::Encode(SecretsHandler::List(), {"PodList", "v1"},
                                                          {.type = wire::MediaType::kProtobuf});
  const std::string cut = ListOf({{"a", "kubernetes.io/dockercfg"}});
  const std::tuple<base::StatusOr<kube::Response>, int, std::string> table[] = {
      {kube::Response{403, forbidden}, 500,
       "Internal error occurred: secrets can't be read: kube-apiserver answered 403: secrets is "
       "forbidden"},
      {kube::Response{401, "Unauthorized"}, 500, "kube-apiserver answered 401, and no Status"},
      {kube::Response{404, "nothing here"}, 500, "kube-apiserver answered 404"},
      {kube::Response{429, "slow down"}, 504,
       "Timeout: secrets can't be read: kube-apiserver answered 429"},
      {kube::Response{503, std::string(1'000'000, 'x')}, 504, "kube-apiserver answered 503"},
      {kube::Response{200, ""}, 500, "something else than a list of secrets"},
      {kube::Response{200, garbage}, 500, "something else than a list of secrets"},
      {kube::Response{200, other}, 500, "something else than a list of secrets"},
      {kube::Response{200, R"({"kind":"SecretList","apiVersion":"v1","items":[]})"}, 500,
       "something else"},
      {kube::Response{200, cut.substr(0, cut.size() - 30)}, 500, "something else"},
      {base::UnavailableError("https://k: Connection refused"), 504,
       "https://k: Connection refused"},
      {base::DeadlineExceededError("https://k: Timeout was reached"), 504, "Timeout was reached"},
      {base::ResourceExhaustedError("https://k: an answer of more than 9 bytes"), 500,
       "an answer of more than 9 bytes"},
      {base::CancelledError("shutting down"), 504, "shutting down"},
  };
  for (const auto& [answer, code, text] : table) {
    kube.answer = answer;
    const auto call = Ask(kPath);
    EXPECT_EQ(call->answer->status, code) << text;
    EXPECT_THAT(*call->answer->body, HasSubstr(text));
    EXPECT_LT(call->answer->body->size(), 1'000u);
    EXPECT_EQ(call->answer->headers.Find("retry-after") != nullptr, code == 504) << text;
  }
}

TEST_F(Secrets, ARequestWhoseTimeIsOverIsAnsweredSo) {
  kube.answer = base::DeadlineExceededError("https://k: Timeout was reached");
  kube.meanwhile = [this] { clock.Advance(seconds(60)); };
  EXPECT_THAT(Answer(), HasSubstr("Timeout: request did not complete within the allotted timeout"));
}

TEST_F(Secrets, WhoLeavesTheQueueIsntAskedFor) {
  lane_runs = false;
  const auto call = Ask(kPath);
  ASSERT_EQ(waiting.size(), 1u);
  call->ended(Call::End::kClientIsGone);
  EXPECT_EQ(withdrawn, 7u);
  EXPECT_EQ(call->answer->status, 499);
  waiting[0]();
  EXPECT_TRUE(kube.asked.empty());
}

}  // namespace
}  // namespace strata::endpoints

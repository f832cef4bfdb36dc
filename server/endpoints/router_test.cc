#include "server/endpoints/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/registry/image_v1.h"

namespace strata::endpoints {
namespace {

class Recorded : public Call {
 public:
  explicit Recorded(std::string* out) : out_(out) {}
  void Respond(http::Response response) override {
    *out_ = std::to_string(response.status) + " " + *response.body;
  }
  void Post(std::function<void()> task) override { task(); }

 private:
  std::string* out_;
};

class Routes : public testing::Test {
 protected:
  Routes() {
    health.Add("ping", Health::Scope::kLiveness, [] { return base::OkStatus(); });
    router.AddHealth(health);
    router.AddDiscovery(discovery);
    router.AddVersion();
    router.Serve(registry::ImageStreamLayers(), "get", Says("layers of "));
    router.Serve(registry::ImageStreams(), "get", Says("record of "));
  }
  static CallHandler Says(const std::string& what) {
    return [what](const std::shared_ptr<Call>& call) {
      http::Response response;
      response.body =
          std::make_shared<const std::string>(what + call->info->ns + "/" + call->info->name);
      call->Respond(std::move(response));
    };
  }
  std::string Ask(const std::string& target, const std::string& method = "GET") {
    std::string answer;
    auto call = std::make_shared<Recorded>(&answer);
    call->request.method = method;
    call->request.target = target;
    call->info = api::RecallRequestInfo(method, target);
    call->resource = router.ResourceOf(*call->info);
    router.Route(call);
    return answer;
  }

  Health health;
  const registry::Groups groups{&registry::ImageV1()};
  api::Discovery discovery{groups};
  Router router{groups};
};

TEST_F(Routes, LeadToTheirEndpoints) {
  const std::string base = "/apis/image.openshift.io/v1/namespaces/ns/imagestreams/app";
  EXPECT_EQ(Ask(base + "/layers"), "200 layers of ns/app");
  EXPECT_EQ(Ask(base + "/layers/"), "200 layers of ns/app");
  EXPECT_EQ(Ask(base), "200 record of ns/app");
  EXPECT_EQ(Ask(base + "/"), "200 record of ns/app");
  EXPECT_EQ(Ask("/readyz"), "200 ok");
  EXPECT_EQ(Ask("/readyz/ping"), "200 ok");
  EXPECT_THAT(Ask("/apis/"), testing::StartsWith("200 {\"kind\":\"APIGroupList\""));
  EXPECT_THAT(Ask("/version"), testing::HasSubstr("gitVersion"));
  EXPECT_THAT(Ask("/"), testing::StartsWith("200 {\n  \"paths\": [\n    \"/apis\","));
}

TEST_F(Routes, ThereAreThreeKindsOfNotFoundAndMethodsAreChecked) {
  const std::string base = "/apis/image.openshift.io/v1/namespaces/ns/imagestreams/app";
  for (const std::string& path :
       {base + "/Layers", base + "/layers/x", base + "/secrets", base + "/x/../app/layers",
        std::string("/apis/image.openshift.io/v2/x")}) {
    EXPECT_THAT(Ask(path), testing::HasSubstr("the server could not find the requested resource"))
        << path;
  }
  for (const char* path : {"/foo", "/apis/other.group/v1", "/api", "/healthzz"}) {
    EXPECT_THAT(Ask(path), testing::StartsWith("404 {\n  \"paths\"")) << path;
  }
  for (const char* method : {"HEAD", "POST", "PUT", "DELETE", "OPTIONS", "FOO"}) {
    EXPECT_THAT(Ask(base + "/layers", method), testing::StartsWith("405 ")) << method;
    EXPECT_THAT(Ask(base, method), testing::StartsWith("405 ")) << method;
  }
  EXPECT_THAT(Ask("/version", "POST"), testing::StartsWith("405 "));
}

}  // namespace
}  // namespace strata::endpoints

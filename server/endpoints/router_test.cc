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

// Dolls live in namespaces and can be watched, heaps can't; boxes don't; bills are only known.
const registry::Group& Toys() {
  static const registry::Group group(
      "toys.example.com", "v1", "toy",
      {{.name = "bills", .kind = "Bill", .unserved = {"create"}},
       {.name = "boxes", .kind = "Box", .namespaced = false, .verbs = {"get", "list", "watch"}},
       {.name = "dolls", .kind = "Doll", .verbs = {"create", "get", "list", "watch"}},
       {.name = "heaps", .kind = "Heap", .verbs = {"get", "list"}},
       {.name = "kites", .kind = "Kite", .verbs = {"get"}}});
  return group;
}

class Routes : public testing::Test {
 protected:
  Routes() {
    health.Add("ping", Health::Scope::kLiveness, [] { return base::OkStatus(); });
    router.AddHealth(health);
    router.AddDiscovery(discovery);
    router.AddVersion();
    router.Serve(registry::ImageStreamLayers(), "get", Says("layers of "));
    router.Serve(registry::ImageStreams(), "get", Says("record of "));
    for (const registry::Resource& resource : Toys().resources())
      for (const std::string& verb : resource.verbs)
        router.Serve(resource, verb, Says(verb + " " + resource.name + " "));
  }
  static CallHandler Says(const std::string& what) {
    return [what](const std::shared_ptr<Call>& call) {
      http::Response response;
      response.body =
          std::make_shared<const std::string>(what + call->info->ns + "/" + call->info->name);
      call->Respond(std::move(response));
    };
  }
  std::string Ask(const std::string& target, const std::string& method = "GET",
                  const std::string& accept = "") {
    return AskOf(router, target, method, accept);
  }
  static std::string AskOf(const Router& router, const std::string& target,
                           const std::string& method = "GET", const std::string& accept = "") {
    std::string answer;
    auto call = std::make_shared<Recorded>(&answer);
    call->request.method = method;
    call->request.target = target;
    if (!accept.empty()) call->request.headers.Add("accept", accept);
    call->info = api::RecallRequestInfo(method, target);
    router.Aim(*call);
    router.Route(call);
    return answer;
  }
  // Of the toys, by their own paths; the answer without its code if it is 200, else the code.
  std::string AskToys(const std::string& path, const std::string& method = "GET") {
    const std::string answer = Ask("/apis/toys.example.com/v1/" + path, method);
    return answer.starts_with("200 ") ? answer.substr(4) : answer.substr(0, 3);
  }

  Health health;
  const registry::Groups groups{&registry::ImageV1(), &Toys()};
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

TEST_F(Routes, ACollectionIsListedOrWatched) {
  const std::pair<const char*, const char*> kPaths[] = {
      {"namespaces/n/dolls", "list dolls n/"},
      {"namespaces/n/dolls/", "list dolls n/"},
      {"dolls", "list dolls /"},
      {"boxes//", "list boxes /"},
      {"dolls?watch=0", "list dolls /"},
      {"dolls?watch=False", "list dolls /"},
      {"dolls?watch", "watch dolls /"},
      {"dolls?watch=maybe", "watch dolls /"},
      {"namespaces/n/dolls?watch=1", "watch dolls n/"},
      {"boxes?watch=true", "watch boxes /"},
      // The name that is meant.
      {"namespaces/n/dolls?fieldSelector=metadata.name%3Dann", "list dolls n/ann"},
      {"namespaces/n/dolls?watch=1&fieldSelector=metadata.name%3Dann", "watch dolls n/ann"},
      {"watch/namespaces/n/dolls/ann", "watch dolls n/ann"},
      {"watch/boxes/red?watch=0", "watch boxes /red"},
      {"watch/namespaces/n/dolls", "watch dolls n/"},
      {"watch/dolls", "watch dolls /"},
      // One object isn't watched so.
      {"namespaces/n/dolls/ann?watch=1", "get dolls n/ann"},
      {"boxes/red?watch=true", "get boxes /red"},
  };
  for (const auto& [path, wanted] : kPaths) EXPECT_EQ(AskToys(path), wanted) << path;
}

TEST_F(Routes, OfACollectionOnlyItsVerbsAreAllowed) {
  EXPECT_EQ(AskToys("namespaces/n/dolls", "POST"), "create dolls n/");
  const struct {
    const char* path;
    std::vector<std::string> methods;
    const char* wanted;
  } kCases[] = {
      {"namespaces/n/dolls", {"HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO"}, "405"},
      {"dolls", {"HEAD", "POST", "PUT", "DELETE", "FOO"}, "405"},
      {"boxes", {"HEAD", "POST", "DELETE", "FOO"}, "405"},
      {"watch/namespaces/n/dolls", {"HEAD", "POST", "DELETE", "FOO"}, "405"},
      {"watch/namespaces/n/dolls/ann", {"HEAD", "PUT", "DELETE", "FOO"}, "405"},
      {"namespaces/n/bills", {"GET", "POST", "DELETE", "HEAD"}, "405"},
      {"namespaces/n/bills/b", {"GET", "PUT"}, "404"},
      {"bills", {"GET", "POST"}, "404"},
      {"namespaces/n/kites", {"GET", "POST", "HEAD", "TRACE"}, "404"},
      {"namespaces/n/kites?watch=1", {"GET"}, "404"},
      {"watch/namespaces/n/heaps", {"GET", "POST"}, "404"},
  };
  for (const auto& c : kCases)
    for (const std::string& method : c.methods)
      EXPECT_EQ(AskToys(c.path, method), c.wanted) << method << " " << c.path;
}

// Which says that it can't be watched, and what else is wrong before.
TEST_F(Routes, WhatCanOnlyBeListedIsAskedToWatchToo) {
  EXPECT_EQ(AskToys("namespaces/n/heaps?watch=1"), "list heaps n/");
}

TEST_F(Routes, WhatIsServedIsMeantByItsNameWhicheverEditionOfTheGroupThereIs) {
  Router other({&registry::ImageV1WithSecrets()});
  other.Serve(registry::ImageStreams(), "get", Says("record of "));
  other.Serve(registry::ImageStreamSecrets(), "get", Says("secrets of "));
  const std::string base = "/apis/image.openshift.io/v1/namespaces/ns/imagestreams/app";
  EXPECT_EQ(AskOf(other, base), "200 record of ns/app");
  EXPECT_EQ(AskOf(other, base + "/secrets?watch=1"), "200 secrets of ns/app");
  EXPECT_THAT(AskOf(other, base + "/secrets", "POST"), testing::StartsWith("405 "));
}

TEST_F(Routes, ThereAreThreeKindsOfNotFoundAndMethodsAreChecked) {
  const std::string base = "/apis/image.openshift.io/v1/namespaces/ns/imagestreams/app";
  for (const std::string& path :
       {base + "/Layers", base + "/layers/x", base + "/secrets", base + "/x/../app/layers",
        std::string("/apis/image.openshift.io/v2/x")}) {
    EXPECT_THAT(Ask(path), testing::HasSubstr("the server could not find the requested resource"))
        << path;
  }
  for (const char* path :
       {"/foo", "/apis/other.group/v1", "/api", "/healthzz", "//apis/toys.example.com/v1/boxes"}) {
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

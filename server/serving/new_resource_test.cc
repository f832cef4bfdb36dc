// What a new resource takes, in a group of its own, and what follows from it (CONTRIBUTING.md).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/api/discovery.h"
#include "server/api/openapi.h"
#include "server/registry/image_v1.h"
#include "server/serving/chain.h"
#include "server/serving/chain_fixture_test.h"

namespace strata::serving {
namespace {

using testing::HasSubstr;

constexpr const char* kGroup = "/apis/toys.example.com/v1alpha1";

const registry::Group& Toys() {
  static const registry::Group group("toys.example.com", "v1alpha1", "toy",
                                     {{.name = "dolls",
                                       .singular = "doll",
                                       .kind = "Doll",
                                       .type = registry::ImageStreams().type,
                                       .list_kind = "DollList",
                                       .list_type = registry::ImageStreams().list_type,
                                       .verbs = {"get", "list", "watch"},
                                       .short_names = {"do"}}});
  return group;
}

class ANewResource : public testing::Test, protected ChainFixture {
 protected:
  ANewResource() : ChainFixture({&registry::ImageV1(), &Toys()}) {
    router.AddDiscovery(discovery);
    router.AddOpenApi(openapi);
    for (const std::string& verb : Toys().Find("dolls")->verbs) {
      router.Serve(*Toys().Find("dolls"), verb, [verb](const std::shared_ptr<endpoints::Call>& c) {
        http::Response response;
        response.body =
            std::make_shared<const std::string>(verb + " " + c->info->ns + "/" + c->info->name);
        c->Respond(std::move(response));
      });
    }
  }

  std::string AskWith(const std::string& path, const std::string& accept) {
    http::Headers headers;
    headers.Add("accept", accept);
    return Ask(path, "alice", std::move(headers)).Text();
  }

  const api::Discovery discovery{router.groups()};
  const api::OpenApi openapi{router.groups()};
};

TEST_F(ANewResource, IsAValueAndAnEndpointForEachVerb) {
  const std::string dolls = std::string(kGroup) + "/namespaces/n/dolls";
  EXPECT_EQ(Ask(dolls + "/ann").Text(), "200 get n/ann");
  EXPECT_EQ(Ask(dolls).Text(), "200 list n/");
  EXPECT_EQ(Ask(std::string(kGroup) + "/dolls?watch=1").Text(), "200 watch /");
  EXPECT_THAT(
      Ask(dolls + "/ann", "bob").Text(),
      HasSubstr(R"(dolls.toys.example.com \"ann\" is forbidden: User \"bob\" cannot get )"));
  EXPECT_THAT(metrics.Text(), HasSubstr(R"(resource="dolls")"));
}

TEST_F(ANewResource, IsAnnouncedBesideTheOthers) {
  EXPECT_EQ(
      Ask(kGroup).Text(),
      R"(200 {"kind":"APIResourceList","apiVersion":"v1","groupVersion":"toys.example.com/v1alpha1",)"
      R"("resources":[{"name":"dolls","singularName":"doll","namespaced":true,"kind":"Doll",)"
      R"("verbs":["get","list","watch"],"shortNames":["do"]}]})"
      "\n");
  for (const char* group : {"image.openshift.io", "toys.example.com"}) {
    const std::string name = R"("name":")" + std::string(group) + '"';
    EXPECT_THAT(Ask(std::string("/apis/") + group).Text(), HasSubstr(name));
    EXPECT_THAT(Ask("/apis").Text(), HasSubstr(name));
    EXPECT_THAT(
        AskWith("/apis", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"),
        HasSubstr(R"({"metadata":{)" + name));
  }
  EXPECT_THAT(Ask("/foo").Text(), HasSubstr("/apis/toys.example.com/v1alpha1"));
  EXPECT_THAT(Ask(std::string(kGroup) + "/foo").Text(),
              HasSubstr("the server could not find the requested resource"));
}

TEST_F(ANewResource, IsDescribedInADocumentOfItsGroup) {
  const std::string own = Ask("/openapi/v3" + std::string(kGroup)).Text();
  const std::string image = Ask("/openapi/v3/apis/image.openshift.io/v1").Text();
  const std::string both = Ask("/openapi/v2").Text();
  for (const char* path : {"/namespaces/{namespace}/dolls/{name}", "/namespaces/{namespace}/dolls",
                           "/dolls", "/watch/namespaces/{namespace}/dolls/{name}",
                           "/watch/namespaces/{namespace}/dolls", "/watch/dolls"}) {
    const std::string at = '"' + std::string(kGroup) + path + "\":{";
    EXPECT_THAT(own, HasSubstr(at));
    EXPECT_THAT(both, HasSubstr(at));
  }
  EXPECT_THAT(own, testing::Not(HasSubstr("/apis/image.openshift.io")));
  EXPECT_THAT(image, testing::Not(HasSubstr("toys.example.com")));
  EXPECT_THAT(both, HasSubstr("/apis/image.openshift.io/v1/namespaces/"));
  EXPECT_THAT(own, HasSubstr(R"("listToysExampleComV1alpha1NamespacedDoll")"));
  EXPECT_THAT(
      own, HasSubstr(R"([{"group":"toys.example.com","kind":"DollList","version":"v1alpha1"}])"));
  const std::string root = Ask("/openapi/v3").Text();
  EXPECT_THAT(root, HasSubstr(R"("apis/image.openshift.io/v1":{"serverRelativeURL")"));
  EXPECT_THAT(root, HasSubstr(R"("apis/toys.example.com/v1alpha1":{"serverRelativeURL")"));
}

}  // namespace
}  // namespace strata::serving

// What a new read-only resource takes, and what follows from it (CONTRIBUTING.md).
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

const registry::Group& Toys() {
  static const registry::Group group("toys.example.com", "v1", "toy",
                                     {{.name = "dolls",
                                       .singular = "doll",
                                       .kind = "Doll",
                                       .type = registry::ImageStreams().type,
                                       .verbs = {"get"},
                                       .short_names = {"do"}}});
  return group;
}

TEST(ANewResource, IsAValueAndAnEndpoint) {
  ChainFixture server({&registry::ImageV1(), &Toys()});
  const api::Discovery discovery(server.router.groups());
  const api::OpenApi openapi(server.router.groups());
  server.router.AddDiscovery(discovery);
  server.router.AddOpenApi(openapi);
  server.router.Serve(*Toys().Find("dolls"), "get", [](const std::shared_ptr<endpoints::Call>& c) {
    http::Response response;
    response.body = std::make_shared<const std::string>("the doll " + c->info->name);
    c->Respond(std::move(response));
  });
  const std::string group = "/apis/toys.example.com/v1", doll = group + "/namespaces/n/dolls/ann";
  EXPECT_EQ(server.Ask(doll).Text(), "200 the doll ann");
  EXPECT_THAT(
      server.Ask(doll, "bob").Text(),
      HasSubstr(R"(dolls.toys.example.com \"ann\" is forbidden: User \"bob\" cannot get )"));
  EXPECT_THAT(server.Ask(group).Text(), HasSubstr(R"("singularName":"doll")"));
  EXPECT_THAT(server.Ask("/openapi/v3" + group).Text(),
              HasSubstr(group + "/namespaces/{namespace}/dolls/{name}"));
  EXPECT_THAT(server.metrics.Text(), HasSubstr(R"(resource="dolls")"));
}

}  // namespace
}  // namespace strata::serving

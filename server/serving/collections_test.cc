// Lists and watches through the whole chain: rights, counting, audit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "server/serving/chain.h"
#include "server/serving/chain_fixture_test.h"

namespace strata::serving {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// Dolls live in namespaces, boxes don't; heaps can't be watched.
const registry::Group& Toys() {
  static const registry::Group group(
      "toys.example.com", "v1", "toy",
      {{.name = "boxes", .kind = "Box", .namespaced = false, .verbs = {"get", "list", "watch"}},
       {.name = "dolls", .kind = "Doll", .verbs = {"get", "list", "watch"}},
       {.name = "heaps", .kind = "Heap", .verbs = {"list"}}});
  return group;
}

class Collections : public testing::Test, protected ChainFixture {
 protected:
  Collections() : ChainFixture({&Toys(), &registry::ImageV1()}) {
    for (const registry::Resource& resource : Toys().resources()) {
      for (const std::string& verb : resource.verbs) {
        router.Serve(resource, verb, [this](const std::shared_ptr<endpoints::Call>& call) {
          in_flight = chain.in_flight();
          call->Respond({});
        });
      }
    }
  }

  static std::string At(const std::string& path) { return "/apis/toys.example.com/v1/" + path; }

  int in_flight = -1;
};

TEST_F(Collections, RightsAreAskedForTheVerbInItsScope) {
  const std::string in_ns = " in the namespace \\\"n\\\"", in_all = " at the cluster scope";
  const std::string named = "dolls.toys.example.com \\\"ann\\\" is forbidden: ";
  const struct {
    const char* path;
    std::string wanted;
  } kCases[] = {
      {"namespaces/n/dolls",
       "\"dolls.toys.example.com is forbidden: User \\\"bob\\\" cannot list resource \\\"dolls\\\" "
       "in "
       "API group \\\"toys.example.com\\\"" +
           in_ns},
      {"namespaces/n/dolls?watch=1",
       "cannot watch resource \\\"dolls\\\" in API group "
       "\\\"toys.example.com\\\"" +
           in_ns},
      {"watch/namespaces/n/dolls", "cannot watch resource"},
      {"dolls",
       "cannot list resource \\\"dolls\\\" in API group \\\"toys.example.com\\\"" + in_all},
      {"dolls?fieldSelector=metadata.namespace%3Dn", in_all},
      {"boxes?watch=1", "\"boxes.toys.example.com is forbidden: "},
      // The name of the one object that is meant is the check's.
      {"namespaces/n/dolls?fieldSelector=metadata.name%3Dann", named},
      {"namespaces/n/dolls?fieldSelector=metadata.name%3Dann&watch=1", named},
      {"namespaces/n/dolls?fieldSelector=metadata.name%3Dann",
       R"("details":{"name":"ann","group":"toys.example.com","kind":"dolls"})"},
      {"watch/namespaces/n/dolls/ann", named},
      {"watch/namespaces/n/dolls?fieldSelector=metadata.name%3Dann",
       "\"dolls.toys.example.com is forbidden: "},
      // Before it is said that there is nothing to be had.
      {"namespaces/n/heaps?watch=1", "cannot watch resource \\\"heaps\\\""},
      {"namespaces/n/trains", "\"trains.toys.example.com is forbidden: "},
  };
  for (const auto& c : kCases) {
    const std::string answer = Ask(At(c.path), "bob").Text();
    EXPECT_THAT(answer, StartsWith("403 ")) << c.path;
    EXPECT_THAT(answer, HasSubstr(c.wanted)) << c.path;
  }
}

TEST_F(Collections, AreCountedByVerbAndScope) {
  const std::pair<const char*, const char*> kCases[] = {
      {"namespaces/n/dolls/ann", R"(resource="dolls",scope="resource",subresource="",verb="GET")"},
      {"namespaces/n/dolls", R"(resource="dolls",scope="namespace",subresource="",verb="LIST")"},
      {"dolls", R"(resource="dolls",scope="cluster",subresource="",verb="LIST")"},
      {"boxes", R"(resource="boxes",scope="cluster",subresource="",verb="LIST")"},
      {"namespaces/n/dolls?watch=1",
       R"(resource="dolls",scope="namespace",subresource="",verb="WATCH")"},
      {"dolls?watch=1", R"(resource="dolls",scope="cluster",subresource="",verb="WATCH")"},
      {"watch/boxes", R"(resource="boxes",scope="cluster",subresource="",verb="WATCH")"},
      {"watch/boxes/red", R"(resource="boxes",scope="resource",subresource="",verb="WATCH")"},
      {"heaps?watch=1", R"(resource="heaps",scope="cluster",subresource="",verb="WATCH")"},
  };
  const auto counted = [&](const std::string& labels) {
    std::istringstream text(metrics.Text());
    for (std::string line; std::getline(text, line);) {
      if (line.starts_with("apiserver_request_total{") && line.find(labels) != line.npos)
        return true;
    }
    return false;
  };
  for (const auto& [path, labels] : kCases) {
    EXPECT_FALSE(counted(labels)) << path;
    Ask(At(path));
    EXPECT_TRUE(counted(labels)) << path;
  }
}

TEST_F(Collections, AWatchIsLongRunningAndAListIsNot) {
  const std::pair<const char*, int> kCases[] = {{"namespaces/n/dolls", 1},
                                                {"namespaces/n/dolls?watch=1", 0},
                                                {"watch/boxes/red", 0},
                                                {"namespaces/n/dolls/ann?watch=1", 1},
                                                {"boxes?watch=false&watch=1", 1}};
  for (const auto& [path, wanted] : kCases) {
    Ask(At(path));
    EXPECT_EQ(in_flight, wanted) << path;
  }
}

TEST_F(Collections, WatchesAreCountedWhileTheyGoOn) {
  router.Serve(*Toys().Find("boxes"), "watch",
               [this](const std::shared_ptr<endpoints::Call>& call) { held.push_back(call); });
  const std::string running =
      "\napiserver_longrunning_requests{component=\"apiserver\",group=\"toys.example.com\","
      "resource=\"boxes\",scope=\"cluster\",subresource=\"\",verb=\"WATCH\",version=\"v1\"} ";
  EXPECT_THAT(metrics.Text(), HasSubstr(running + "0\n"));
  Ask(At("boxes?watch=1"));
  Ask(At("watch/boxes"));
  Ask(At("boxes"));
  EXPECT_THAT(metrics.Text(), HasSubstr(running + "2\n"));
  held.clear();
  EXPECT_THAT(metrics.Text(), HasSubstr(running + "0\n"));
}

TEST_F(Collections, AuditEventsNameVerbScopeAndTheOneThatIsMeant) {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("strata-lists-" + std::to_string(getpid())))
          .string();
  auto policy = audit::Policy::Parse(
      "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n");
  auto log =
      audit::Log::Open({.path = path}, *std::move(policy), clock, obs::NullLogger(), metrics);
  ASSERT_TRUE(log.ok()) << log.status();
  obs::Metrics own;
  Chain audited({}, tokens, authorizer, router, clock, obs::NullLogger(), own, log->get());
  for (const char* asked :
       {"namespaces/n/dolls?fieldSelector=metadata.name%3Dann", "boxes?watch=1", "watch/boxes/red"})
    AskOf(audited, At(asked), "alice");
  log->reset();
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  std::filesystem::remove(path);
  EXPECT_THAT(text, HasSubstr(R"("verb":"list",)"));
  EXPECT_THAT(text, HasSubstr(R"("objectRef":{"resource":"dolls","namespace":"n","name":"ann",)"
                              R"("apiGroup":"toys.example.com","apiVersion":"v1"})"));
  EXPECT_THAT(text, HasSubstr(R"("verb":"watch",)"));
  EXPECT_THAT(text, HasSubstr(R"("objectRef":{"resource":"boxes","apiGroup")"));
  EXPECT_THAT(text, HasSubstr(R"("objectRef":{"resource":"boxes","name":"red","apiGroup")"));
  EXPECT_THAT(text, HasSubstr(R"("stage":"ResponseStarted")"));
}

}  // namespace
}  // namespace strata::serving

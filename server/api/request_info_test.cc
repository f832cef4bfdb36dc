#include "server/api/request_info.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace strata::api {
namespace {

// verb group/version namespace resource/subresource name, or the verb and path of what is no
// resource.
std::string Say(std::string_view method, std::string_view target) {
  const auto info = ParseRequestInfo(method, target);
  if (!info) return "bad";
  if (!info->problem.empty()) return info->problem;
  if (!info->is_resource) return fmt::format("{} {}", info->verb, info->path);
  return fmt::format("{} {}/{} ns={} {}/{} name={}", info->verb, info->api_group, info->api_version,
                     info->ns, info->resource, info->subresource, info->name);
}

TEST(RequestInfo, IsRememberedByMethodAndTarget) {
  const std::string app = "/apis/g/v1/namespaces/ns/imagestreams/app/layers";
  const auto first = RecallRequestInfo("GET", app);
  EXPECT_EQ(RecallRequestInfo("GET", app), first);
  EXPECT_EQ(first->name, "app");
  EXPECT_EQ(RecallRequestInfo("POST", app)->verb, "create");
  EXPECT_EQ(RecallRequestInfo("GET", app)->verb, "get");
  EXPECT_EQ(RecallRequestInfo("GET", app + "?resourceVersion=0")->query.Get("resourceVersion"),
            "0");
  EXPECT_EQ(RecallRequestInfo("GET", app)->query.Get("resourceVersion"), "");
  EXPECT_EQ(RecallRequestInfo("GET", "/%zz"), nullptr);
  EXPECT_EQ(RecallRequestInfo("GET", "/%zz"), nullptr);
  const std::string longer = app + "?x=" + std::string(300, 'x');
  EXPECT_NE(RecallRequestInfo("GET", longer), RecallRequestInfo("GET", longer));
}

// Far more than are remembered, so that each takes another's place.
TEST(RequestInfo, ARememberedOneIsNeverAnothers) {
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 5000; ++i) {
      const std::string name = fmt::format("s{}", i);
      EXPECT_EQ(RecallRequestInfo("GET", "/apis/g/v1/namespaces/ns/imagestreams/" + name)->name,
                name);
    }
  }
}

TEST(RequestInfo, AnEmptyNameIsNotGivenByASelector) {
  for (const char* query : {"", "?fieldSelector=metadata.name=app"})
    EXPECT_EQ(ParseRequestInfo("GET",
                               std::string("/apis/g/v1/namespaces/ns/imagestreams//layers") + query)
                  ->name,
              "");
}

TEST(RequestInfo, ParsesPathsAsTheReferenceDoes) {
  const struct {
    std::string_view method, target, wanted;
  } kCases[] = {
      {"GET", "/apis/g/v1/namespaces/ns/imagestreams/app/layers",
       "get g/v1 ns=ns imagestreams/layers name=app"},
      {"HEAD", "/apis/g/v1/namespaces/ns/imagestreams/app/layers/",
       "get g/v1 ns=ns imagestreams/layers name=app"},
      {"POST", "/apis/g/v1/namespaces/ns/imagestreams", "create g/v1 ns=ns imagestreams/ name="},
      {"FOO", "/apis/g/v1/images/x", " g/v1 ns= images/ name=x"},
      {"GET", "/apis/g/v1/images", "list g/v1 ns= images/ name="},
      {"GET", "/apis/g/v1/images?watch=1", "watch g/v1 ns= images/ name="},
      {"GET", "/apis/g/v1/images?watch=false", "list g/v1 ns= images/ name="},
      {"GET", "/apis/g/v1/images?watch", "watch g/v1 ns= images/ name="},
      {"GET", "/apis/g/v1/images?watch=FALSE", "list g/v1 ns= images/ name="},
      {"GET", "/apis/g/v1/images?watch=0&watch=1", "list g/v1 ns= images/ name="},
      {"GET", "/apis/g/v1/images?watch=1;x", "list g/v1 ns= images/ name="},
      {"GET", "/apis/g/v1/images?watch=&labelSelector=!!", "watch g/v1 ns= images/ name="},
      {"GET", "/apis/g/v1/images?labelSelector=!!&fieldSelector=metadata.name=x",
       "list g/v1 ns= images/ name="},
      {"GET", "/apis/g/v1/images?watch=1&limit=x&fieldSelector=metadata.name=x",
       "watch g/v1 ns= images/ name="},
      {"GET", "/apis/g/v1/images?fieldSelector=metadata.name%3Dx", "list g/v1 ns= images/ name=x"},
      {"GET", "/apis/g/v1/images?fieldSelector=a=b,metadata.name==x",
       "list g/v1 ns= images/ name=x"},
      {"GET", "/apis/g/v1/images?fieldSelector=metadata.name!=x", "list g/v1 ns= images/ name="},
      {"GET", "/apis/g/v1/images?fieldSelector=metadata.name=..", "list g/v1 ns= images/ name="},
      {"GET", "/apis/g/v1/images?fieldSelector=metadata.name=a/b", "list g/v1 ns= images/ name="},
      {"GET", "/apis/g/v1/images?fieldSelector=metadata.name=x,oops",
       "list g/v1 ns= images/ name="},
      {"DELETE", "/apis/g/v1/images?fieldSelector=metadata.name=x",
       "deletecollection g/v1 ns= images/ name="},
      {"DELETE", "/apis/g/v1/images", "deletecollection g/v1 ns= images/ name="},
      {"GET", "/apis/g/v1/namespaces/ns", "get g/v1 ns=ns namespaces/ name=ns"},
      {"GET", "/apis/g/v1/namespaces/ns/status", "get g/v1 ns=ns namespaces/status name=ns"},
      {"GET", "/api/v1/namespaces/ns/pods/p", "get /v1 ns=ns pods/ name=p"},
      {"GET", "/apis/g/v1/watch/namespaces/ns/imagestreams",
       "watch g/v1 ns=ns imagestreams/ name="},
      {"GET", "/apis/g/v1/watch",
       "unable to determine kind and namespace from url, /apis/g/v1/watch"},
      {"GET", "/apis/g/v1/proxy/",
       "unable to determine kind and namespace from url, /apis/g/v1/proxy/"},
      {"GET", "/apis/g/v1/proxy/namespaces/ns/imagestreams/app/layers",
       "proxy g/v1 ns=ns imagestreams/ name=app"},
      {"GET", "/apis/g/v1/namespaces/ns/imagestreams//layers",
       "list g/v1 ns=ns imagestreams/layers name="},
      {"GET", "/apis/g/v1/namespaces/ns/imagestreams/a%2Fb/layers",
       "get g/v1 ns=ns imagestreams/b name=a"},
      {"GET", "/apis/g/v1/namespaces/ns/imagestreams/a%20b/layers",
       "get g/v1 ns=ns imagestreams/layers name=a b"},
      {"GET", "/apis/g/v1/namespaces/ns/imagestreams/x/../y/layers",
       "get g/v1 ns=ns imagestreams/.. name=x"},
      {"GET", "/apis/g/v1", "get /apis/g/v1"},
      {"GET", "/apis", "get /apis"},
      {"POST", "/healthz", "post /healthz"},
      {"GET", "/", "get /"},
      {"GET", "//apis//g", "get //apis//g"},
      {"get", "/apis/g/v1/images/x", " g/v1 ns= images/ name=x"},
      {"GET", "//apis/g/v1/images/x//", "get g/v1 ns= images/ name=x"},
      {"GET", "/apis%2Fg/v1/images", "list g/v1 ns= images/ name="},
      {"GET", "/a%00b?x=%00", std::string_view("get /a\0b", 8)},
      {"GET", "/a#b", "get /a#b"},
      {"GET", "/a\x01", "bad"},
      {"GET", "/a?b=\x7f", "bad"},
      {"GET", "http://host/a", "bad"},
      {"GET", "/%zz", "bad"},
      {"GET", "*", "bad"},
      {"GET", "", "bad"},
  };
  for (const auto& c : kCases) EXPECT_EQ(Say(c.method, c.target), c.wanted) << c.target;
}

}  // namespace
}  // namespace strata::api

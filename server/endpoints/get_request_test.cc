#include "server/endpoints/get_request.h"

#include <gtest/gtest.h>

#include "server/registry/image_v1.h"

namespace strata::endpoints {
namespace {

class Asked final : public Call {
 public:
  Asked(const std::string& target, const std::string& accept) {
    info = api::RecallRequestInfo("GET", target);
    resource = registry::TargetOf({&registry::ImageV1()}, info->parts).resource;
    request.headers.Add("accept", accept);
  }
  void Respond(http::Response) override {}
  void Post(std::function<void()>) override {}
};

// "CODE MESSAGE", or nothing.
std::string RefusalOf(const std::string& path, const std::string& accept = "application/json") {
  const auto error = RefuseGet(Asked("/apis/image.openshift.io/v1/" + path, accept));
  return error ? std::to_string(error->code) + " " + error->message : "";
}

// Of an image stream.
std::string Refusal(const std::string& rest, const std::string& accept = "application/json") {
  return RefusalOf("namespaces/ns/imagestreams/" + rest, accept);
}

TEST(GetRequest, ExportIsNoMore) {
  const std::string refused =
      "400 the export parameter, deprecated since v1.14, is no longer supported";
  for (const char* query : {"export=true", "export", "export=", "export=1", "export=no",
                            "export=true&export=false", "a=b&export=true"})
    EXPECT_EQ(Refusal(std::string("app/layers?") + query), refused) << query;
  for (const char* query :
       {"export=false", "export=FALSE", "export=0", "exact=true", "Export=true", "x=export"})
    EXPECT_EQ(Refusal(std::string("app?") + query), "") << query;
}

TEST(GetRequest, ANameIsOneSegmentOfAPath) {
  EXPECT_EQ(Refusal("%2E"), R"(400 Name parameter invalid: ".": may not be '.')");
  EXPECT_EQ(Refusal("./layers"), R"(400 Name parameter invalid: ".": may not be '.')");
  EXPECT_EQ(Refusal("%2e%2e/layers"), R"(400 Name parameter invalid: "..": may not be '..')");
  EXPECT_EQ(Refusal("a%2541"), R"(400 Name parameter invalid: "a%41": may not contain '%')");
  EXPECT_EQ(Refusal("%25/layers"), R"(400 Name parameter invalid: "%": may not contain '%')");
  for (const char* name : {"...", "a.b", "a%20b", "UPPER", "a:b", "a%00b"})
    EXPECT_EQ(Refusal(name), "") << name;
}

TEST(GetRequest, OnlyNamesOfRecordsAreSegmentsAndOnlyTheNamespacedNeedANamespace) {
  EXPECT_EQ(RefusalOf("images/sha256:1"), "");
  EXPECT_EQ(RefusalOf("images/a%2541"),
            R"(400 Name parameter invalid: "a%41": may not contain '%')");
  EXPECT_EQ(RefusalOf("namespaces//imagestreams/app"), "400 Namespace parameter required.");
  EXPECT_EQ(RefusalOf("namespaces/ns/imagestreamtags/app:a%2541"), "");
}

TEST(GetRequest, ATableIsAFormOfWhatHasOne) {
  const std::string table = "application/json;as=Table;g=meta.k8s.io;v=v1";
  EXPECT_EQ(NegotiateObject(Asked("/apis/image.openshift.io/v1/images/i", table))
                .representation.transform,
            wire::Transform::kTable);
  const std::string stream = "/apis/image.openshift.io/v1/namespaces/ns/imagestreams/app";
  EXPECT_EQ(NegotiateObject(Asked(stream + "/layers", table)).refusal, wire::Refusal::kConversion);
  EXPECT_EQ(NegotiateObject(
                Asked(stream, "application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io;v=v1"))
                .refusal,
            wire::Refusal::kConversion);
}

TEST(GetRequest, TheFormComesBeforeTheObjectAndExportBeforeTheName) {
  EXPECT_EQ(Refusal("%2E?export=true", "text/html").substr(0, 3), "406");
  EXPECT_EQ(Refusal("%2E?export=true"),
            "400 the export parameter, deprecated since v1.14, is no longer supported");
}

}  // namespace
}  // namespace strata::endpoints

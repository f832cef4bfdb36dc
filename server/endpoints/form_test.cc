#include "server/endpoints/form.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "server/registry/image_v1.h"

namespace strata::endpoints {
namespace {

using Headers = std::vector<http::Header>;

class Asked final : public Call {
 public:
  explicit Asked(const Headers& headers) {
    info = api::RecallRequestInfo(
        "GET", "/apis/image.openshift.io/v1/namespaces/ns/imagestreams/app/layers");
    resource = &registry::ImageStreamLayers();
    for (const http::Header& header : headers) request.headers.Add(header.name, header.value);
  }
  void Respond(http::Response response) override { status = response.status; }
  void Post(std::function<void()>) override {}

  int status = 0;  // 0: not answered
};

std::vector<std::pair<std::string, std::string>> HeadersOf(const http::Response& response) {
  std::vector<std::pair<std::string, std::string>> all;
  for (const http::Header& header : response.headers) all.emplace_back(header.name, header.value);
  return all;
}

TEST(Form, IsWhatTheClientTakes) {
  Asked call(Headers{{"accept", "application/yaml"}, {"accept-encoding", "br, gzip"}});
  const auto form = NegotiateForm(call);
  ASSERT_TRUE(form);
  EXPECT_EQ(form->representation.type, wire::MediaType::kYaml);
  EXPECT_TRUE(form->gzip);
  EXPECT_FALSE(RefuseListForm(call, *form));
  Asked plain(Headers{});
  EXPECT_FALSE(NegotiateForm(plain)->gzip);
  EXPECT_EQ(call.status, 0);
  EXPECT_EQ(plain.status, 0);
}

TEST(Form, OneThatIsntServedFailsTheCall) {
  Asked none(Headers{{"accept", "text/html"}});
  EXPECT_FALSE(NegotiateForm(none));
  EXPECT_EQ(none.status, 406);
  Asked list(Headers{{"accept",
                      "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
                      ",application/json"}});
  const auto form = NegotiateForm(list);
  ASSERT_TRUE(form);
  EXPECT_EQ(list.status, 0) << "the object is looked for first";
  EXPECT_TRUE(RefuseListForm(list, *form));
  EXPECT_EQ(list.status, 406);
}

TEST(Form, HeadersSayWhatWasSent) {
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(HeadersOf(ResponseIn(wire::MediaType::kJson, false)),
            Pairs({{"content-type", "application/json"}}));
  EXPECT_EQ(HeadersOf(ResponseIn(wire::MediaType::kProtobuf, true)),
            Pairs({{"content-encoding", "gzip"},
                   {"content-type", "application/vnd.kubernetes.protobuf"},
                   {"vary", "Accept-Encoding"}}));
}

}  // namespace
}  // namespace strata::endpoints

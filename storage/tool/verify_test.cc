#include "storage/tool/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "lib/codec/decode_json.h"
#include "proto/image/image_v1.pb.h"
#include "storage/records/record.h"
#include "storage/tool/connection.h"
#include "storage/tool/raw.h"
#include "test/support/fake_etcd.h"
#include "test/support/temp_dir.h"

namespace strata::tool {
namespace {

namespace v1 = ::github::com::openshift::api::image::v1;

template <typename Message>
std::string Stored(records::Kind kind, const std::string& json) {
  Message message;
  EXPECT_TRUE(codec::DecodeJson(json, message).ok()) << json;
  return records::Encode(kind, message.SerializeAsString());
}
std::string Image(const std::string& manifests = "") {
  return Stored<v1::Image>(records::Kind::kImage,
                           R"({"dockerImageManifests":[)" + manifests + "]}");
}
std::string Stream(const std::string& items) {
  return Stored<v1::ImageStream>(records::Kind::kImageStream,
                                 R"({"status":{"tags":[{"tag":"a","items":[)" + items + "]}]}}");
}

class Verifications : public testing::Test {
 protected:
  Verifications() {
    connection = *Connection::Open({.data_dir = dir.path()}, clock, obs::NullLogger(), metrics);
  }
  void Put(const std::string& key, const std::string& value) {
    ASSERT_TRUE(*connection->store().Commit({{"/openshift.io/" + key, value, 0}}));
  }

  const testing_support::TempDir dir;
  base::SystemClock clock;
  obs::Metrics metrics;
  std::unique_ptr<Connection> connection;
};

TEST_F(Verifications, NameWhatCantBeReadAndWhatIsMissing) {
  Put("images/one", Image());
  Put("images/list", Image(R"({"digest":"one"},{"digest":"two"},{"digest":"later"})"));
  Put("images/later", Image());
  Put("images/bad", "nonsense");
  Put("imagestreams/a/x",
      Stream(R"({"image":"one"},{"image":"none"},{"image":"one"},{"image":""})"));
  Put("imagestreams/a/y", Stream(R"({"image":"bad"})"));
  Put("imagestreams/b/z", "k8s");
  Put("imagesets/x", "1");
  const auto found = *Verify(connection->store());
  EXPECT_EQ(found.unreadable, 2);
  EXPECT_EQ(found.missing_images, 1) << "one that can't be read isn't missing";
  EXPECT_EQ(found.missing_manifests, 1);
  EXPECT_EQ(found.other_keys, 1);
  EXPECT_EQ(found.images.images, 4);
  EXPECT_EQ(found.namespaces.at("a").streams, 2);
  EXPECT_EQ(found.namespaces.at("a").images, 3);
  EXPECT_EQ(found.namespaces.at("b").streams, 1);
  std::vector<std::string> problems;
  for (const Problem& problem : found.problems)
    problems.push_back(problem.what + " " + problem.record + " " + problem.details.substr(0, 4));
  EXPECT_THAT(problems, testing::UnorderedElementsAre(
                            testing::StartsWith("Unreadable /openshift.io/images/bad"),
                            testing::StartsWith("Unreadable /openshift.io/imagestreams/b/z"),
                            "MissingImage /openshift.io/imagestreams/a/x none",
                            "MissingManifest /openshift.io/images/list two"));
  EXPECT_THAT(AsTable(found), testing::AllOf(testing::HasSubstr("NAMESPACE    STREAMS"),
                                             testing::HasSubstr("2 unreadable, 1 missing images")));
  EXPECT_THAT(AsJson(found),
              testing::StartsWith(R"({"revision":9,"unreadable":2,"missingImages":1,)"));
}

TEST_F(Verifications, OfAnEmptyStoreFindNothing) {
  const auto found = *Verify(connection->store());
  EXPECT_EQ(AsJson(found),
            "{\"revision\":1,\"unreadable\":0,\"missingImages\":0,\"missingManifests\":0,"
            "\"otherKeys\":0,\"images\":{\"streams\":0,\"tags\":0,\"images\":0,\"bytes\":0},"
            "\"namespaces\":{},\"problems\":[]}\n");
  EXPECT_TRUE(connection->VerifyFile().ok());
}

// kine takes a range for the folder before its end, and has no cluster id.
TEST(VerificationOfKine, ReadsFoldersAndRefusesOtherRanges) {
  testing_support::FakeEtcd etcd;
  etcd.Behave([](auto& b) { b.kine = true; });
  for (int i = 0; i < 1200; ++i) etcd.Put("/openshift.io/images/i" + std::to_string(i), Image());
  etcd.Put("/openshift.io/imagestreams/a/x", Stream(R"({"image":"i7"},{"image":"none"})"));
  etcd.Put("/other", "x");
  base::SystemClock clock;
  obs::Metrics metrics;
  const auto connection =
      Connection::Open({.etcd = {.endpoints = {etcd.url()}}}, clock, obs::NullLogger(), metrics);
  ASSERT_TRUE(connection.ok()) << connection.status();
  RecordStore& store = (*connection)->store();
  const auto found = Verify(store);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->images.images, 1200);
  EXPECT_EQ(found->namespaces.at("a").streams, 1);
  EXPECT_EQ(found->missing_images, 1);

  std::FILE* const nowhere = std::fopen("/dev/null", "w");
  Output output(nowhere, false);
  EXPECT_EQ(*DumpRaw(store, "/openshift.io/", output), 1201);
  EXPECT_EQ(*DumpRaw(store, "/", output), 1202);
  for (const char* prefix : {"", "/openshift.io/images", "/o"}) {
    const auto refused = DumpRaw(store, prefix, output);
    EXPECT_EQ(refused.status().code(), base::StatusCode::kUnimplemented) << prefix;
    EXPECT_THAT(std::string(base::Message(refused.status())),
                testing::HasSubstr("give --key-prefix=/FOLDER/"));
  }
  std::fclose(nowhere);
  EXPECT_EQ(store.max_batch(), 1u);
}

}  // namespace
}  // namespace strata::tool

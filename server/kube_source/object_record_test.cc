#include "server/kube_source/object_record.h"

#include <gtest/gtest.h>

#include "proto/image/image_v1.pb.h"

namespace strata::kube_source {
namespace {

using records::Kind;

std::string Object(const std::string& ns, const std::string& name, const std::string& revision) {
  github::com::openshift::api::image::v1::ImageStream stream;
  stream.mutable_metadata()->set_namespace_(ns);
  stream.mutable_metadata()->set_name(name);
  stream.mutable_metadata()->set_resource_version(revision);
  stream.mutable_status()->set_docker_image_repository("registry/ns/a");
  return stream.SerializeAsString();
}

TEST(ObjectRecord, IsTheObjectAtItsOwnRevision) {
  const std::string object = Object("ns", "a", "17");
  const auto record = RecordOf(Kind::kImageStream, object);
  ASSERT_TRUE(record.ok());
  EXPECT_EQ(record->id, (records::Id{Kind::kImageStream, "ns", "a"}));
  EXPECT_EQ(record->state, records::Change::State::kPresent);
  EXPECT_EQ(record->revision, 17);
  EXPECT_EQ(record->object, object);
  EXPECT_EQ(RecordOf(Kind::kImage, Object("", "sha256:a", "3"))->id,
            (records::Id{Kind::kImage, "", "sha256:a"}));
}

TEST(ObjectRecord, WhatCannotBeOneIsRefused) {
  const std::string table[] = {
      "",
      "\xff",
      "\x0a\x01\xff",
      Object("ns", "", "1"),
      Object("", "a", "1"),
      Object("ns", "..", "1"),
      Object("ns", "a/b", "1"),
      Object("../x", "a", "1"),
      Object("ns", std::string(2000, 'a'), "1"),
      Object("ns", "a", ""),
      Object("ns", "a", "0"),
      Object("ns", "a", "-1"),
      Object("ns", "a", "1x"),
      Object("ns", "a", "99999999999999999999"),
  };
  for (const std::string& object : table)
    EXPECT_EQ(RecordOf(Kind::kImageStream, object).status().code(), base::StatusCode::kDataLoss)
        << object;
  EXPECT_FALSE(RecordOf(Kind::kImage, Object("ns", "sha256:a", "1")).ok())
      << "images have no namespace";
}

TEST(ObjectRecord, IsFoundUnderItsEscapedName) {
  EXPECT_EQ(PathOf(Kind::kImage), "/apis/image.openshift.io/v1/images");
  EXPECT_EQ(PathOf(records::Id{Kind::kImage, "", "sha256:a"}),
            "/apis/image.openshift.io/v1/images/sha256%3Aa");
  EXPECT_EQ(PathOf(records::Id{Kind::kImageStream, "n?s", "a#b"}),
            "/apis/image.openshift.io/v1/namespaces/n%3Fs/imagestreams/a%23b");
}

}  // namespace
}  // namespace strata::kube_source

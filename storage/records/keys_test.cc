#include "storage/records/keys.h"

#include <gtest/gtest.h>

namespace strata::records {
namespace {

TEST(Keys, ThePrefixIsJoinedAsKubeApiserverJoinsIt) {
  for (const char* prefix : {"openshift.io", "/openshift.io", "openshift.io/", "//openshift.io//",
                             "./x/../openshift.io"}) {
    EXPECT_EQ(Keys(prefix).begin(), "/openshift.io/images/") << prefix;
    EXPECT_EQ(Keys(prefix).end(), "/openshift.io/imagestreams0") << prefix;
  }
  EXPECT_EQ(Keys("").begin(), "/images/");
  EXPECT_EQ(Keys("a/b").begin(), "/a/b/images/");
}

TEST(Keys, ParseIsTheInverseOfKeyOf) {
  const Keys keys("openshift.io");
  const Id image{Kind::kImage, "", "sha256:abc"}, stream{Kind::kImageStream, "ns", "app"};
  EXPECT_EQ(keys.KeyOf(image), "/openshift.io/images/sha256:abc");
  EXPECT_EQ(keys.KeyOf(stream), "/openshift.io/imagestreams/ns/app");
  EXPECT_EQ(keys.Parse(keys.KeyOf(image)), image);
  EXPECT_EQ(keys.Parse(keys.KeyOf(stream)), stream);
}

TEST(Keys, WhatIsNoRecordsKeyIsIgnored) {
  const Keys keys("openshift.io");
  for (const char* key :
       {"", "/openshift.io/images/", "/openshift.io/images/a/b", "/openshift.io/imagesx/a",
        "/openshift.io/imagestreams/ns", "/openshift.io/imagestreams/ns/",
        "/openshift.io/imagestreams//a", "/openshift.io/imagestreams/ns/a/b",
        "/openshift.io/images/..", "/openshift.io/images/a%2f", "/registry/images/a"}) {
    EXPECT_EQ(keys.Parse(key), std::nullopt) << key;
  }
}

}  // namespace
}  // namespace strata::records

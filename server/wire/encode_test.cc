#include "server/wire/encode.h"

#include <gtest/gtest.h>

#include "lib/base/bytes.h"
#include "proto/k8s/meta_v1.pb.h"

namespace strata::wire {
namespace {

k8s::io::apimachinery::pkg::apis::meta::v1::Status Failure() {
  k8s::io::apimachinery::pkg::apis::meta::v1::Status status;
  status.set_status("Failure");
  status.set_code(401);
  return status;
}

TEST(Encode, EachFormEndsAsTheReferenceEndsIt) {
  const codec::TypeMeta type{"Status", "v1"};
  EXPECT_EQ(Encode(Failure(), type, {MediaType::kJson}),
            "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\","
            "\"code\":401}\n");
  EXPECT_EQ(Encode(Failure(), type, {MediaType::kJson, true}),
            "{\n  \"kind\": \"Status\",\n  \"apiVersion\": \"v1\",\n  \"metadata\": {},\n  "
            "\"status\": \"Failure\",\n"
            "  \"code\": 401\n}");
  EXPECT_EQ(Encode(Failure(), type, {MediaType::kYaml}),
            "apiVersion: v1\ncode: 401\nkind: Status\nmetadata: {}\nstatus: Failure\n");
  EXPECT_EQ(base::ToHex(Encode(Failure(), type, {MediaType::kProtobuf})),
            "6b387300"
            "0a0c0a0276311206537461747573"
            "1218"
            "0a060a0012001a00"
            "12074661696c757265"
            "1a00"
            "2200"
            "309103"
            "1a002200");
}

}  // namespace
}  // namespace strata::wire

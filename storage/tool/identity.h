// What tells one record from another that had its name before.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proto/k8s/meta_v1.pb.h"

namespace strata::tool {

using ObjectMeta = k8s::io::apimachinery::pkg::apis::meta::v1::ObjectMeta;

// uid and creationTimestamp, where the record doesn't have them, are those of `existing`, so that
// loading it again changes nothing (an old record may have none); without an existing record they
// are `new_uid` and `now`, in seconds since 1970.
void KeepIdentity(const ObjectMeta* existing, std::string_view new_uid, int64_t now,
                  ObjectMeta& metadata);

// A random UUID, version 4.
std::string NewUid();

}  // namespace strata::tool

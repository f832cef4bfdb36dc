#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "server/auth/rbac.h"

namespace strata::auth {

inline constexpr const char* kLayers =
    "/apis/image.openshift.io/v1/namespaces/ns/imagestreams/app/layers";

class RbacPolicy : public testing::Test {
 protected:
  void Add(std::string_view yaml) {
    const base::Status status = AddRbacObjects(yaml, "test.yaml", objects);
    EXPECT_TRUE(status.ok()) << status;
  }
  // Binds user `u` to a cluster role of one rule, everywhere or in a namespace.
  void Grant(const std::string& rule, const std::string& ns = "") {
    Add("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r}\nrules: "
        "[" +
        rule + "]\n");
    Add("apiVersion: rbac.authorization.k8s.io/v1\nkind: " +
        std::string(ns.empty() ? "Cluster" : "") + "RoleBinding\nmetadata: {name: b" +
        (ns.empty() ? "" : ", namespace: " + ns) +
        "}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: r}\nsubjects: "
        "[{kind: User, name: u}]\n");
  }
  bool May(const UserInfo& user, const std::string& target, const char* method = "GET") {
    return Policy(objects).Decide(user, *api::ParseRequestInfo(method, target)).verdict ==
           Decision::Verdict::kAllow;
  }
  bool May(const std::string& target, const char* method = "GET") {
    return May({"u", "", {}, {}}, target, method);
  }

  RbacObjects objects;
};

}  // namespace strata::auth

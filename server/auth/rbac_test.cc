#include "server/auth/rbac.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace strata::auth {
namespace {

using testing::HasSubstr;

constexpr const char* kLayers = "/apis/image.openshift.io/v1/namespaces/ns/imagestreams/app/layers";

class RbacPolicy : public testing::Test {
 protected:
  void Add(std::string_view yaml) {
    const base::Status status = AddRbacObjects(yaml, "test.yaml", objects);
    EXPECT_TRUE(status.ok()) << status;
  }
  // Binds user `u` to a cluster role of one rule, everywhere or in a namespace.
  void Grant(const std::string& rule, const std::string& ns = "") {
    Add("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r}\nrules: [" + rule + "]\n");
    Add("apiVersion: rbac.authorization.k8s.io/v1\nkind: " + std::string(ns.empty() ? "Cluster" : "") +
        "RoleBinding\nmetadata: {name: b" + (ns.empty() ? "" : ", namespace: " + ns) +
        "}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: r}\nsubjects: [{kind: User, name: u}]\n");
  }
  bool May(const UserInfo& user, const std::string& target, const char* method = "GET") {
    return Policy(objects).Decide(user, *api::ParseRequestInfo(method, target)).verdict == Decision::Verdict::kAllow;
  }
  bool May(const std::string& target, const char* method = "GET") { return May({"u", "", {}, {}}, target, method); }

  RbacObjects objects;
};

TEST_F(RbacPolicy, RulesMatchAsKubernetesMatchesThem) {
  const std::string group = "apiGroups: [image.openshift.io], ";
  const struct {
    std::string rule;
    bool layers, stream;
  } kCases[] = {
      {"{" + group + "resources: [imagestreams/layers], verbs: [get]}", true, false},
      {"{" + group + "resources: [imagestreams], verbs: [get]}", false, true},
      {"{" + group + "resources: ['*/layers'], verbs: [get]}", true, false},
      {"{" + group + "resources: ['imagestreams/*'], verbs: [get]}", false, false},
      {"{" + group + "resources: ['*'], verbs: ['*']}", true, true},
      {"{apiGroups: ['*'], resources: ['*'], verbs: [get]}", true, true},
      {"{apiGroups: [''], resources: ['*'], verbs: [get]}", false, false},
      {"{" + group + "resources: ['*'], verbs: [list]}", false, false},
      {"{" + group + "resources: [imagestreams/layers], verbs: [get], resourceNames: [app]}", true, false},
      {"{" + group + "resources: [imagestreams/layers], verbs: [get], resourceNames: [other]}", false, false},
      {"{nonResourceURLs: ['*'], verbs: ['*']}", false, false},
  };
  for (const auto& c : kCases) {
    objects = {};
    Grant(c.rule);
    EXPECT_EQ(May(kLayers), c.layers) << c.rule;
    EXPECT_EQ(May("/apis/image.openshift.io/v1/namespaces/ns/imagestreams/app"), c.stream) << c.rule;
  }
}

TEST_F(RbacPolicy, PathsMatchExactlyOrByPrefix) {
  Grant("{nonResourceURLs: [/metrics, '/apis/*'], verbs: [get]}");
  EXPECT_TRUE(May("/metrics"));
  EXPECT_FALSE(May("/metrics/slis"));
  EXPECT_TRUE(May("/apis/x"));
  EXPECT_FALSE(May("/apis"));
  EXPECT_FALSE(May("/metrics", "POST"));
}

TEST_F(RbacPolicy, ABindingOfANamespaceGrantsThereAlone) {
  Grant("{apiGroups: ['*'], resources: ['*'], verbs: ['*']}, {nonResourceURLs: ['*'], verbs: ['*']}", "ns");
  EXPECT_TRUE(May(kLayers));
  EXPECT_FALSE(May("/apis/image.openshift.io/v1/namespaces/other/imagestreams/app/layers"));
  EXPECT_FALSE(May("/apis/image.openshift.io/v1/images/x"));
  EXPECT_FALSE(May("/metrics"));
}

TEST_F(RbacPolicy, SubjectsAreUsersGroupsAndServiceAccounts) {
  Add(R"(
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: puller, namespace: ns}
rules: [{apiGroups: [image.openshift.io], resources: [imagestreams/layers], verbs: [get]}]
---
apiVersion: v1
kind: List
items:
- apiVersion: rbac.authorization.k8s.io/v1
  kind: RoleBinding
  metadata: {name: b, namespace: ns}
  roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: puller}
  subjects:
  - {kind: Group, name: devs}
  - {kind: ServiceAccount, name: registry, namespace: infra}
  - {kind: ServiceAccount, name: default}
)");
  EXPECT_TRUE(May({"x", "", {"devs"}, {}}, kLayers));
  EXPECT_TRUE(May({"system:serviceaccount:infra:registry", "", {}, {}}, kLayers));
  EXPECT_TRUE(May({"system:serviceaccount:ns:default", "", {}, {}}, kLayers));
  EXPECT_FALSE(May({"devs", "", {}, {}}, kLayers));
  EXPECT_FALSE(May({"registry", "", {}, {}}, kLayers));
}

TEST_F(RbacPolicy, AggregatedRolesGatherWhatTheirLabelsSelect) {
  Add(BuiltinRoles());
  Add(R"(
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: extra, labels: {rbac.authorization.k8s.io/aggregate-to-view: 'true'}}
rules: [{apiGroups: [image.openshift.io], resources: [imagestreams/layers], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: all-views}
aggregationRule:
  clusterRoleSelectors:
  - matchExpressions: [{key: rbac.authorization.k8s.io/aggregate-to-view, operator: Exists}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: b}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{kind: User, name: u}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: c}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: all-views}
subjects: [{kind: User, name: w}]
)");
  EXPECT_TRUE(May(kLayers));
  EXPECT_TRUE(May({"w", "", {}, {}}, kLayers));
  EXPECT_FALSE(May(kLayers, "PUT"));
}

TEST_F(RbacPolicy, BuiltInRolesServeDiscoveryHealthAndNothingMore) {
  Add(BuiltinRoles());
  const UserInfo anonymous{kAnonymous, "", {kUnauthenticated}, {}}, user{"u", "", {kAuthenticated}, {}};
  for (const char* path : {"/healthz", "/livez", "/readyz", "/version"}) EXPECT_TRUE(May(anonymous, path)) << path;
  for (const char* path : {"/apis", "/metrics", "/", kLayers}) EXPECT_FALSE(May(anonymous, path)) << path;
  for (const char* path : {"/apis", "/apis/image.openshift.io/v1", "/openapi/v3"}) EXPECT_TRUE(May(user, path)) << path;
  for (const char* path : {"/metrics", "/", kLayers}) EXPECT_FALSE(May(user, path)) << path;
  EXPECT_TRUE(May({"m", "", {kMasters}, {}}, "/metrics"));
}

TEST_F(RbacPolicy, SaysWhichBindingAllowed) {
  Grant("{apiGroups: ['*'], resources: ['*'], verbs: [get]}", "ns");
  EXPECT_EQ(Policy(objects).Decide({"u", "", {}, {}}, *api::ParseRequestInfo("GET", kLayers)).reason,
            "RBAC: allowed by RoleBinding \"b/ns\" of ClusterRole \"r\" to User \"u\"");
}

TEST_F(RbacPolicy, BadObjectsAreErrorsThatNameFileLineAndField) {
  const std::string head = "# a comment\napiVersion: rbac.authorization.k8s.io/v1\nkind: ";
  const struct {
    std::string yaml, error;
  } kCases[] = {
      {head + "Pod\nmetadata: {name: x}\n", "test.yaml:2: kind \"Pod\" isn't one of"},
      {head + "ClusterRole\n", "test.yaml:2: metadata.name: Required value"},
      {head + "ClusterRole\nmetadata: {name: x}\nrules: {}\n", "test.yaml:2: rules: expected a list"},
      {head + "RoleBinding\nmetadata: {name: x, namespace: ns}\n", "roleRef.name: Required value"},
      {head + "RoleBinding\nmetadata: {name: x}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: r}\n",
       "metadata.namespace: Required value"},
      {head + "ClusterRoleBinding\nmetadata: {name: x}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: r}\n",
       "roleRef.kind: Unsupported value: \"Role\""},
      {head + "ClusterRoleBinding\nmetadata: {name: x}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, "
              "name: r}\nsubjects: [{kind: Robot, name: x}]\n",
       "subjects[0].kind: Unsupported value: \"Robot\""},
      {"a: [", "test.yaml: line"},
      {"a: b\n", "test.yaml:1: kind: Required value"},
  };
  for (const auto& c : kCases) {
    const base::Status status = AddRbacObjects(c.yaml, "test.yaml", objects);
    EXPECT_THAT(std::string(base::Message(status)), HasSubstr(c.error)) << c.yaml;
  }
  EXPECT_TRUE(AddRbacObjects("apiVersion: v1\nkind: ConfigMap\n", "test.yaml", objects).ok());
}

TEST(AuthorizerChain, MastersAndAlwaysAllowedPathsAreNotAsked) {
  const AuthorizerChain chain({"/healthz", "/pub*"}, {});
  const auto verdict = [&](const UserInfo& user, const char* target) {
    Decision::Verdict out{};
    const auto info = api::ParseRequestInfo("GET", target);
    chain.Authorize(user, *info, [&](Decision d) { out = d.verdict; });
    return out;
  };
  EXPECT_EQ(verdict({"m", "", {kMasters}, {}}, kLayers), Decision::Verdict::kAllow);
  EXPECT_EQ(verdict({"u", "", {}, {}}, "/healthz"), Decision::Verdict::kAllow);
  EXPECT_EQ(verdict({"u", "", {}, {}}, "/healthz/etcd"), Decision::Verdict::kNoOpinion);
  EXPECT_EQ(verdict({"u", "", {}, {}}, "/public"), Decision::Verdict::kAllow);
  EXPECT_EQ(verdict({"u", "", {}, {}}, kLayers), Decision::Verdict::kNoOpinion);
}

}  // namespace
}  // namespace strata::auth

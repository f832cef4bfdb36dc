#include "server/auth/rbac_objects.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "server/auth/rbac_fixture_test.h"

namespace strata::auth {
namespace {

using testing::HasSubstr;

TEST_F(RbacPolicy, WhatNoClusterAcceptsGrantsNothing) {
  Add("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r}\nrules: "
      "[{apiGroups: ['*'], resources: ['*'], verbs: ['*']}]\n");
  const struct {
    const char *ns, *ref, *subject;
    bool may;
  } kCases[] = {
      {"ns", "ClusterRole", "User", true}, {"", "ClusterRole", "User", false},
      {"ns", "", "User", false},           {"ns", "clusterrole", "User", false},
      {"ns", "ClusterRole", "", false},    {"ns", "ClusterRole", "user", false},
  };
  for (const auto& c : kCases) {
    objects.role_bindings.clear();
    auto& binding = objects.role_bindings.emplace_back();
    binding.mutable_metadata()->set_namespace_(c.ns);
    binding.mutable_role_ref()->set_kind(c.ref);
    binding.mutable_role_ref()->set_name("r");
    binding.add_subjects()->set_kind(c.subject);
    binding.mutable_subjects(0)->set_name("u");
    EXPECT_EQ(May(kLayers), c.may) << c.ns << " " << c.ref << " " << c.subject;
  }
  // A role of that name stands in no namespace, and an account without one is nobody's.
  objects.role_bindings.clear();
  auto& binding = objects.cluster_role_bindings.emplace_back();
  binding.mutable_role_ref()->set_name("r");
  binding.mutable_role_ref()->set_kind("Role");
  binding.add_subjects()->set_kind("ServiceAccount");
  binding.mutable_subjects(0)->set_name("a");
  binding.add_subjects()->set_kind("User");
  binding.mutable_subjects(1)->set_name("u");
  EXPECT_FALSE(May(kLayers));
  binding.mutable_role_ref()->set_kind("ClusterRole");
  EXPECT_TRUE(May(kLayers));
  EXPECT_FALSE(May({"system:serviceaccount::a", "", {}, {}}, kLayers));
}

TEST_F(RbacPolicy, BadObjectsAreErrorsThatNameFileLineAndField) {
  const std::string head = "# a comment\napiVersion: rbac.authorization.k8s.io/v1\nkind: ";
  const struct {
    std::string yaml, error;
  } kCases[] = {
      {head + "Pod\nmetadata: {name: x}\n", "test.yaml:2: kind \"Pod\" isn't one of"},
      {head + "ClusterRole\n", "test.yaml:2: metadata.name: Required value"},
      {head + "ClusterRole\nmetadata: {name: x}\nrules: {}\n",
       "test.yaml:2: rules: expected a list"},
      {head + "RoleBinding\nmetadata: {name: x, namespace: ns}\n",
       "roleRef.kind: Unsupported value: \"\""},
      {head + "RoleBinding\nmetadata: {name: x, namespace: ns}\nroleRef: {kind: Role}\n",
       "roleRef.name: Required value"},
      {head + "RoleBinding\nmetadata: {name: x}\nroleRef: {apiGroup: rbac.authorization.k8s.io, "
              "kind: Role, name: r}\n",
       "metadata.namespace: Required value"},
      {head + "ClusterRoleBinding\nmetadata: {name: x}\nroleRef: {apiGroup: "
              "rbac.authorization.k8s.io, kind: Role, name: r}\n",
       "roleRef.kind: Unsupported value: \"Role\""},
      {head + "ClusterRoleBinding\nmetadata: {name: x}\nroleRef: {apiGroup: "
              "rbac.authorization.k8s.io, kind: ClusterRole, "
              "name: r}\nsubjects: [{kind: Robot, name: x}]\n",
       "subjects[0].kind: Unsupported value: \"Robot\""},
      {head + "ClusterRole\nmetadata: {name: x}\nrules: [{apiGroups: [g], resources: [r]}]\n",
       "rules[0].verbs: Required value"},
      {head + "ClusterRole\nmetadata: {name: x}\nrules: [{apiGroups: [g], verbs: [get]}]\n",
       "rules[0].resources: Required value"},
      {head + "ClusterRole\nmetadata: {name: x}\nrules: [{resources: [r], verbs: [get]}]\n",
       "rules[0].apiGroups: Required value"},
      {head + "ClusterRole\nmetadata: {name: x}\nrules: [{apiGroups: [g], resources: [r], verbs: "
              "[get], resourceName: [a]}]\n",
       "test.yaml:2: unknown field \"rules[0].resourceName\""},
      {head + "ClusterRole\nmetadata: {name: x}\nrules: [{nonResourceURLs: [/a], resources: [r], "
              "verbs: [get]}]\n",
       "rules[0].nonResourceURLs: rules cannot apply to both"},
      {head + "Role\nmetadata: {name: x, namespace: ns}\nrules: [{nonResourceURLs: [/a], verbs: "
              "[get]}]\n",
       "rules[0].nonResourceURLs: namespaced rules cannot apply"},
      {head + "Role\nmetadata: {name: x}\n", "metadata.namespace: Required value"},
      {head + "ClusterRole\nmetadata: {name: x}\naggregationRule: {}\n",
       "clusterRoleSelectors: Required value"},
      {head + "ClusterRole\nmetadata: {name: x}\naggregationRule: {clusterRoleSelectors: "
              "[{matchExpressions: [{key: k, "
              "operator: Is}]}]}\n",
       "operator: Unsupported value: \"Is\""},
      {head + "ClusterRoleBinding\nmetadata: {name: x}\nroleRef: {kind: ClusterRole, name: r}\n"
              "subjects: [{kind: ServiceAccount, name: x}]\n",
       "subjects[0].namespace: Required value"},
      {head + "ClusterRoleBinding\nmetadata: {name: x}\nroleRef: {kind: ClusterRole, name: r}\n"
              "subjects: [{kind: User, name: x, apiGroup: user.openshift.io}]\n",
       "subjects[0].apiGroup: Unsupported value: \"user.openshift.io\""},
      {"apiVersion: rbac.authorization.k8s.io/v1beta1\nkind: Role\nmetadata: {name: x, namespace: "
       "ns}\n",
       "test.yaml:1: apiVersion: Unsupported value: \"rbac.authorization.k8s.io/v1beta1\""},
      {"apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret}\n- " +
           std::string("{apiVersion: "
                       "rbac.authorization.k8s.io/v1, kind: Role}\n"),
       "test.yaml:1: items[1]: metadata.name: Required value"},
      {"a: [", "test.yaml: line"},
      {"a: b\n", "test.yaml:1: kind: Required value"},
  };
  for (const auto& c : kCases) {
    const base::Status status = AddRbacObjects(c.yaml, "test.yaml", objects);
    EXPECT_THAT(std::string(base::Message(status)), HasSubstr(c.error)) << c.yaml;
  }
  EXPECT_TRUE(AddRbacObjects("apiVersion: v1\nkind: ConfigMap\n", "test.yaml", objects).ok());
}

TEST_F(RbacPolicy, ReadsWhatToolsWrite) {
  Add(R"({"kind": "RoleBindingList", "apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"resourceVersion": "1"},
          "items": [{"metadata": {"name": "b", "namespace": "ns", "clusterName": "", "selfLink": "/x", "uid": "u",
                                  "managedFields": [{"manager": "m", "fieldsV1": {"f:roleRef": {}}}]},
                     "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "r"},
                     "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "u"}]}]})");
  ASSERT_EQ(objects.role_bindings.size(), 1u);
  EXPECT_EQ(objects.role_bindings[0].metadata().name(), "b");
}

}  // namespace
}  // namespace strata::auth

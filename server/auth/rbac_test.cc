#include "server/auth/rbac.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "test/support/verdicts.h"

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
      {"{" + group + "resources: [imagestreams/layers], verbs: [get], resourceNames: [app]}", true,
       false},
      {"{" + group + "resources: [imagestreams/layers], verbs: [get], resourceNames: [other]}",
       false, false},
      {"{" + group + "resources: ['*/lay'], verbs: [get]}", false, false},
      {"{" + group + "resources: ['imagestreams/layers/'], verbs: [get]}", false, false},
      {"{" + group + "resources: ['/layers', 'layers', '*/*'], verbs: [get]}", false, false},
      {"{" + group + "resources: [ImageStreams/layers], verbs: [GET]}", false, false},
      {"{" + group + "resources: [secrets, imagestreams/layers], verbs: [list, get]}", true, false},
      {"{nonResourceURLs: ['*'], verbs: ['*']}", false, false},
  };
  for (const auto& c : kCases) {
    objects = {};
    Grant(c.rule);
    EXPECT_EQ(May(kLayers), c.layers) << c.rule;
    EXPECT_EQ(May("/apis/image.openshift.io/v1/namespaces/ns/imagestreams/app"), c.stream)
        << c.rule;
  }
}

TEST_F(RbacPolicy, ARuleForNamesNeedsAName) {
  Grant("{apiGroups: [g], resources: [images], verbs: ['*'], resourceNames: [x]}");
  EXPECT_TRUE(May("/apis/g/v1/images/x"));
  EXPECT_FALSE(May("/apis/g/v1/images"));
  EXPECT_TRUE(May("/apis/g/v1/images?fieldSelector=metadata.name%3Dx"));
  EXPECT_FALSE(May("/apis/g/v1/images", "DELETE"));
  EXPECT_FALSE(May("/apis/g/v1/images", "POST"));
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
  Grant(
      "{apiGroups: ['*'], resources: ['*'], verbs: ['*']}, {nonResourceURLs: ['*'], verbs: ['*']}",
      "ns");
  EXPECT_TRUE(May(kLayers));
  EXPECT_FALSE(May("/apis/image.openshift.io/v1/namespaces/other/imagestreams/app/layers"));
  EXPECT_FALSE(May("/apis/image.openshift.io/v1/images/x"));
  EXPECT_FALSE(May("/metrics"));
}

TEST_F(RbacPolicy, ANamespaceWithoutANameHasNoBindings) {
  Grant("{apiGroups: ['*'], resources: ['*'], verbs: ['*']}", "ns");
  EXPECT_FALSE(May("/apis/image.openshift.io/v1/namespaces//imagestreams/app/layers"));
  EXPECT_FALSE(May("/apis/image.openshift.io/v1/namespaces/NS/imagestreams/app/layers"));
  EXPECT_FALSE(May("/apis/image.openshift.io/v1/imagestreams/app/layers"));
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

// Kubernetes' controller takes each rule once; without that, aggregates that select each other
// would grow for ever.
TEST_F(RbacPolicy, AggregatesMaySelectEachOther) {
  std::string yaml;
  for (int i = 0; i < 60; ++i) {
    const std::string n = std::to_string(i);
    yaml +=
        "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: a" + n +
        ", labels: {all: x}}\naggregationRule: {clusterRoleSelectors: [{matchLabels: {all: x}}]}\n"
        "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r" +
        n + ", labels: {all: x}}\nrules: [{apiGroups: [g], resources: [r" + n +
        "], verbs: [get]}]\n";
  }
  Add(yaml);
  Add(R"(
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: b}
roleRef: {kind: ClusterRole, name: a59}
subjects: [{kind: User, name: u}]
)");
  EXPECT_TRUE(May("/apis/g/v1/r0/x"));
  EXPECT_TRUE(May("/apis/g/v1/r59/x"));
  EXPECT_FALSE(May("/apis/g/v1/r60/x"));
}

TEST_F(RbacPolicy, AnAggregateHasNoRulesOfItsOwn) {
  Add(R"(
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: a}
aggregationRule: {clusterRoleSelectors: [{matchLabels: {none: x}}]}
rules: [{apiGroups: ['*'], resources: ['*'], verbs: ['*']}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: b}
roleRef: {kind: ClusterRole, name: a}
subjects: [{kind: User, name: u}]
)");
  EXPECT_FALSE(May(kLayers));
  EXPECT_EQ(
      Policy(objects).Decide({"u", "", {}, {}}, *api::ParseRequestInfo("GET", kLayers)).reason, "");
}

TEST_F(RbacPolicy, LabelSelectorsSelectAsKubernetesDoes) {
  const struct {
    std::string selector;
    bool selected;
  } kCases[] = {
      {"{}", true},
      {"{matchLabels: {tier: gold}}", true},
      {"{matchLabels: {tier: gold, other: x}}", false},
      {"{matchExpressions: [{key: tier, operator: In, values: [silver, gold]}]}", true},
      {"{matchExpressions: [{key: tier, operator: In, values: [silver]}]}", false},
      {"{matchExpressions: [{key: tier, operator: NotIn, values: [silver]}]}", true},
      {"{matchExpressions: [{key: tier, operator: NotIn, values: [gold]}]}", false},
      {"{matchExpressions: [{key: none, operator: NotIn, values: [x]}]}", true},
      {"{matchExpressions: [{key: tier, operator: Exists}]}", true},
      {"{matchExpressions: [{key: tier, operator: DoesNotExist}]}", false},
      {"{matchExpressions: [{key: none, operator: DoesNotExist}]}", true},
      {"{matchLabels: {tier: gold}, matchExpressions: [{key: none, operator: Exists}]}", false},
  };
  for (const auto& c : kCases) {
    objects = {};
    Add("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r, labels: "
        "{tier: gold}}\n"
        "rules: [{apiGroups: ['*'], resources: ['*'], verbs: ['*']}]\n---\n"
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: a}\n"
        "aggregationRule: {clusterRoleSelectors: [" +
        c.selector +
        "]}\n---\n"
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: b}\n"
        "roleRef: {kind: ClusterRole, name: a}\nsubjects: [{kind: User, name: u}]\n");
    EXPECT_EQ(May(kLayers), c.selected) << c.selector;
  }
}

TEST_F(RbacPolicy, FilesOverrideWhatIsBuiltIn) {
  Add(BuiltinRoles());
  Add("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: "
      "'system:discovery'}\n"
      "rules: [{nonResourceURLs: [/version], verbs: [get]}]\n");
  const UserInfo user{"u", "", {kAuthenticated}, {}};
  EXPECT_FALSE(May(user, "/apis"));
  EXPECT_TRUE(May(user, "/version"));
}

TEST_F(RbacPolicy, BuiltInRolesOfImages) {
  const struct {
    const char* role;
    bool get, put;
  } kCases[] = {{"system:image-puller", true, false},
                {"system:image-pusher", true, true},
                {"system:image-builder", true, true},
                {"system:image-signer", true, false},
                {"system:registry", true, false},
                {"registry-viewer", true, false},
                {"registry-editor", true, true},
                {"registry-admin", true, true},
                {"admin", true, true},
                {"edit", true, true},
                {"view", false, false},
                {"cluster-reader", true, false},
                {"cluster-admin", true, true}};
  for (const auto& c : kCases) {
    objects = {};
    Add(BuiltinRoles());
    Add(std::string("apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: "
                    "b, namespace: ns}\n"
                    "roleRef: {kind: ClusterRole, name: '") +
        c.role + "'}\nsubjects: [{kind: User, name: u}]\n");
    EXPECT_EQ(May(kLayers), c.get) << c.role;
    EXPECT_EQ(May(kLayers, "PUT"), c.put) << c.role;
    EXPECT_FALSE(May("/apis/image.openshift.io/v1/namespaces/other/imagestreams/app/layers"))
        << c.role;
  }
  EXPECT_TRUE(May({"x", "", {kAuthenticated}, {}},
                  "/apis/image.openshift.io/v1/namespaces/openshift/imagestreams/a/layers"))
      << "what everybody may pull";
  EXPECT_FALSE(May({"x", "", {kAuthenticated}, {}}, kLayers));
}

TEST_F(RbacPolicy, NamesTheRolesThatAreMissing) {
  for (const char* ns : {"ns", "other"}) {
    Add(std::string("apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: "
                    "b, namespace: ") +
        ns +
        "}\nroleRef: {kind: Role, name: gone}\nsubjects: [{kind: User, name: u}, {kind: Group, "
        "name: g}]\n");
  }
  const auto reason = [&](const UserInfo& user) {
    const Decision decision = Policy(objects).Decide(user, *api::ParseRequestInfo("GET", kLayers));
    EXPECT_EQ(decision.verdict, Decision::Verdict::kNoOpinion);
    return decision.reason;
  };
  EXPECT_EQ(reason({"u", "", {"g"}, {}}),
            "RBAC: role.rbac.authorization.k8s.io \"gone\" not found");
  Add("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: c}\n"
      "roleRef: {kind: ClusterRole, name: too}\nsubjects: [{kind: User, name: u}]\n");
  EXPECT_EQ(reason({"u", "", {}, {}}),
            "RBAC: [clusterrole.rbac.authorization.k8s.io \"too\" not found, "
            "role.rbac.authorization.k8s.io \"gone\" not found]");
  EXPECT_EQ(reason({"w", "", {}, {}}), "");
}

TEST_F(RbacPolicy, ARoleThatIsBoundAgainAndAgainIsLookedAtOnce) {
  const auto bind = [&](const std::string& name, const std::string& ns, const std::string& role) {
    Add("apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: " + name +
        ", namespace: " + ns + "}\nroleRef: {kind: Role, name: " + role +
        "}\nsubjects: [{kind: User, name: u}]\n");
  };
  Add("apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: r, namespace: ns}\n"
      "rules: [{apiGroups: ['*'], resources: ['*'], verbs: [get]}]\n");
  for (const char* name : {"a", "b", "c"}) {
    bind(name, "ns", "gone");
    bind(std::string(name) + "2", "ns", "r");
    bind(name, "other", "gone");
  }
  const Policy policy(objects);
  EXPECT_EQ(policy.RolesOf("u", "ns"), 2u);
  EXPECT_EQ(policy.RolesOf("u", "other"), 1u);
  const Decision decision =
      policy.Decide({"u", "", {}, {}}, *api::ParseRequestInfo("GET", kLayers));
  EXPECT_EQ(decision.verdict, Decision::Verdict::kAllow);
  EXPECT_EQ(decision.reason, R"(RBAC: allowed by RoleBinding "a2/ns" of Role "r" to User "u")");
}

TEST_F(RbacPolicy, NamesSoManyMissingRolesAtMost) {
  std::string bindings = "apiVersion: v1\nkind: List\nitems:\n";
  for (size_t i = 0; i < 2 * Policy::kMaxMissing; ++i) {
    bindings += fmt::format(
        "- {{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {{name: b{0}, "
        "namespace: ns}}, roleRef: {{kind: Role, name: gone{0}}}, subjects: [{{kind: User, name: "
        "u}}]}}\n",
        i);
  }
  Add(bindings);
  const std::string reason =
      Policy(objects).Decide({"u", "", {}, {}}, *api::ParseRequestInfo("GET", kLayers)).reason;
  size_t named = 0;
  for (size_t at = 0; (at = reason.find("gone", at)) != reason.npos; ++at) ++named;
  EXPECT_EQ(named, Policy::kMaxMissing);
}

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

TEST_F(RbacPolicy, BuiltInRolesServeDiscoveryHealthAndNothingMore) {
  Add(BuiltinRoles());
  const UserInfo anonymous{kAnonymous, "", {kUnauthenticated}, {}},
      user{"u", "", {kAuthenticated}, {}};
  for (const char* path : {"/healthz", "/livez", "/readyz", "/version"})
    EXPECT_TRUE(May(anonymous, path)) << path;
  for (const char* path : {"/apis", "/metrics", "/", kLayers})
    EXPECT_FALSE(May(anonymous, path)) << path;
  for (const char* path : {"/apis", "/apis/image.openshift.io/v1", "/openapi/v3"})
    EXPECT_TRUE(May(user, path)) << path;
  for (const char* path : {"/metrics", "/", kLayers}) EXPECT_FALSE(May(user, path)) << path;
  EXPECT_TRUE(May({"m", "", {kMasters}, {}}, "/metrics"));
}

TEST_F(RbacPolicy, SaysWhichBindingAllowed) {
  Grant("{apiGroups: ['*'], resources: ['*'], verbs: [get]}", "ns");
  EXPECT_EQ(
      Policy(objects).Decide({"u", "", {}, {}}, *api::ParseRequestInfo("GET", kLayers)).reason,
      "RBAC: allowed by RoleBinding \"b/ns\" of ClusterRole \"r\" to User \"u\"");
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

TEST(Rbac, SeesFilesOfItsFoldersComeChangeAndGo) {
  const auto folder =
      std::filesystem::temp_directory_path() / ("strata-rbac-" + std::to_string(getpid()));
  std::filesystem::create_directory(folder);
  const auto binding = [](const std::string& name, const std::string& user) {
    return "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: " +
           name +
           "}\nroleRef: {kind: ClusterRole, name: cluster-admin}\nsubjects: [{kind: User, name: " +
           user + "}]\n";
  };
  const auto write = [&](const char* name, const std::string& text) {
    std::ofstream(folder / ".new") << text;
    std::filesystem::rename(folder / ".new", folder / name);
  };
  obs::Metrics metrics;
  files::FileWatcher watcher{
      {.poll_interval = std::chrono::milliseconds(0)}, obs::NullLogger(), metrics};
  write("a.yaml", binding("a", "alice"));
  write("notes.txt", "not YAML: [");
  Rbac rbac;
  const base::Status opened = rbac.Follow({folder.string()}, watcher);
  ASSERT_TRUE(opened.ok()) << opened;
  const auto may = [&](const std::string& name) {
    bool allowed = false;
    const auto info = api::ParseRequestInfo("GET", kLayers);
    test::Authorize(rbac, {name, "", {}, {}}, *info,
                    [&](const Decision& d) { allowed = d.verdict == Decision::Verdict::kAllow; });
    return allowed;
  };
  EXPECT_TRUE(may("alice"));
  EXPECT_FALSE(may("bob"));
  write("b.yml", binding("b", "bob"));
  watcher.Poll();
  EXPECT_TRUE(may("alice") && may("bob"));
  write("b.yml", "kind: oops\n---\na: [");
  watcher.Poll();
  EXPECT_TRUE(may("alice") && may("bob")) << "a bad file leaves everything as it was";
  std::filesystem::remove(folder / "a.yaml");
  write("b.yml", binding("b", "bob"));
  watcher.Poll();
  EXPECT_FALSE(may("alice"));
  EXPECT_TRUE(may("bob"));
  EXPECT_FALSE(Rbac().Follow({(folder / "none").string()}, watcher).ok());
  std::filesystem::remove_all(folder);
}

TEST(AuthorizerChain, MastersAndAlwaysAllowedPathsAreNotAsked) {
  const AuthorizerChain chain({"/healthz", "/pub*"}, {});
  const auto verdict = [&](const UserInfo& user, const char* target) {
    Decision::Verdict out{};
    const auto info = api::ParseRequestInfo("GET", target);
    test::Authorize(chain, user, *info, [&](const Decision& d) { out = d.verdict; });
    return out;
  };
  EXPECT_EQ(verdict({"m", "", {kMasters}, {}}, kLayers), Decision::Verdict::kAllow);
  EXPECT_EQ(verdict({"u", "", {}, {}}, "/healthz"), Decision::Verdict::kAllow);
  EXPECT_EQ(verdict({"u", "", {}, {}}, "/healthz/etcd"), Decision::Verdict::kNoOpinion);
  EXPECT_EQ(verdict({"u", "", {}, {}}, "/public"), Decision::Verdict::kAllow);
  EXPECT_EQ(verdict({"u", "", {}, {}}, kLayers), Decision::Verdict::kNoOpinion);
}

class Says final : public Authorizer {
 public:
  // With `asks` somebody has to be asked.
  explicit Says(Decision decision, bool asks = false)
      : decision_(std::move(decision)), asks_(asks) {}
  std::optional<Decision> Authorize(const UserInfo&, const api::RequestInfo&,
                                    Later later) const override {
    if (!asks_) return decision_;
    later()(decision_);
    return std::nullopt;
  }

 private:
  const Decision decision_;
  const bool asks_;
};

TEST(AuthorizerChain, TheFirstOpinionCountsAndReasonsOfTheOthersAreTold) {
  using Verdict = Decision::Verdict;
  // The same, whoever of them has to ask.
  const auto ask = [](const std::vector<Decision>& decisions) {
    const auto info = api::ParseRequestInfo("GET", kLayers);
    std::vector<Decision> said;
    for (unsigned who_asks = 0; who_asks < 1u << decisions.size(); ++who_asks) {
      std::vector<std::unique_ptr<Authorizer>> authorizers;
      for (size_t i = 0; i < decisions.size(); ++i)
        authorizers.push_back(std::make_unique<Says>(decisions[i], (who_asks >> i & 1) != 0));
      const AuthorizerChain chain({}, std::move(authorizers));
      test::Authorize(chain, {"u", "", {}, {}}, *info,
                      [&](Decision d) { said.push_back(std::move(d)); });
      EXPECT_EQ(said.size(), who_asks + 1);
      EXPECT_EQ(said.back().verdict, said[0].verdict);
      EXPECT_EQ(said.back().reason, said[0].reason);
      EXPECT_EQ(said.back().error, said[0].error);
    }
    return said[0];
  };
  EXPECT_EQ(
      ask({{Verdict::kNoOpinion, "x"}, {Verdict::kAllow, "yes"}, {Verdict::kDeny, "no"}}).reason,
      "yes");
  EXPECT_EQ(ask({{Verdict::kDeny, "no"}, {Verdict::kAllow, "yes"}}).verdict, Verdict::kDeny);
  const Decision none =
      ask({{Verdict::kNoOpinion, "x", "e"}, {Verdict::kNoOpinion, ""}, {Verdict::kNoOpinion, "y"}});
  EXPECT_EQ(none.verdict, Verdict::kNoOpinion);
  EXPECT_EQ(none.reason, "x\ny");
  EXPECT_EQ(none.error, "e");
}

}  // namespace
}  // namespace strata::auth

#include "server/auth/rbac.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>

#include "server/auth/rbac_fixture_test.h"
#include "test/support/verdicts.h"

namespace strata::auth {
namespace {

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
    testing_support::Authorize(rbac, {name, "", {}, {}}, *info, [&](const Decision& d) {
      allowed = d.verdict == Decision::Verdict::kAllow;
    });
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

}  // namespace
}  // namespace strata::auth

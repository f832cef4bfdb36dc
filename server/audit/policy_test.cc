#include "server/audit/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace strata::audit {
namespace {

constexpr const char* kHead = "apiVersion: audit.k8s.io/v1\nkind: Policy\n";
constexpr const char* kLayers = "/apis/image.openshift.io/v1/namespaces/ns/imagestreams/app/layers";

std::string Evaluate(const std::string& rules, const auth::UserInfo& user, const char* target) {
  const auto policy = Policy::Parse(kHead + rules);
  if (!policy.ok()) return std::string(base::Message(policy.status()));
  const auto verdict = policy->Evaluate(user, *api::ParseRequestInfo("GET", target));
  std::string text(NameOf(verdict.level));
  for (const Stage stage : {Stage::kRequestReceived, Stage::kResponseComplete, Stage::kPanic}) {
    if (verdict.level != Level::kNone && !verdict.Logs(stage))
      text += " -" + std::string(NameOf(stage));
  }
  return text;
}

TEST(AuditPolicy, TheFirstRuleThatMatchesDecides) {
  const auth::UserInfo alice{"alice", "", {"devs"}, {}};
  const struct {
    const char* rules;
    const char* target;
    const char* verdict;
  } kCases[] = {
      {"rules: [{level: Metadata}]", kLayers, "Metadata"},
      {"rules: [{level: None, users: [alice]}, {level: Metadata}]", kLayers, "None"},
      {"rules: [{level: None, users: [bob]}, {level: Request}]", kLayers, "Request"},
      {"rules: [{level: Metadata, userGroups: [ops, devs]}]", kLayers, "Metadata"},
      {"rules: [{level: Metadata, userGroups: [ops]}]", kLayers, "None"},
      {"rules: [{level: Metadata, verbs: [list]}]", kLayers, "None"},
      {"rules: [{level: Metadata, namespaces: [ns]}]", kLayers, "Metadata"},
      {"rules: [{level: Metadata, namespaces: [ns]}]", "/metrics", "None"},
      {"rules: [{level: Metadata, namespaces: ['']}]", kLayers, "None"},
      {"rules: [{level: Metadata, resources: [{group: image.openshift.io}]}]", kLayers, "Metadata"},
      {"rules: [{level: Metadata, resources: [{group: ''}]}]", kLayers, "None"},
      {"rules: [{level: Metadata, resources: [{group: image.openshift.io, resources: "
       "[imagestreams]}]}]",
       kLayers, "None"},
      {"rules: [{level: Metadata, resources: [{group: image.openshift.io, resources: "
       "[imagestreams/layers]}]}]",
       kLayers, "Metadata"},
      {"rules: [{level: Metadata, resources: [{group: image.openshift.io, resources: "
       "['*/layers']}]}]",
       kLayers, "Metadata"},
      {"rules: [{level: Metadata, resources: [{group: image.openshift.io, resources: "
       "['imagestreams/*'], resourceNames: [app]}]}]",
       kLayers, "Metadata"},
      {"rules: [{level: Metadata, resources: [{group: image.openshift.io, resources: ['*'], "
       "resourceNames: [other]}]}]",
       kLayers, "None"},
      {"rules: [{level: Metadata, nonResourceURLs: [/healthz, /met*]}]", "/metrics", "Metadata"},
      {"rules: [{level: Metadata, nonResourceURLs: ['*']}]", kLayers, "None"},
      {"omitStages: [RequestReceived]\nrules: [{level: Metadata, omitStages: [Panic]}]", kLayers,
       "Metadata -RequestReceived -Panic"},
  };
  for (const auto& c : kCases) EXPECT_EQ(Evaluate(c.rules, alice, c.target), c.verdict) << c.rules;
}

TEST(AuditPolicy, WhatIsWrongIsNamed) {
  const struct {
    const char* text;
    const char* error;
  } kCases[] = {
      {"rules: []", "rules: at least one is needed"},
      {"rules: [{}]", "rules[0].level: nothing is none of"},
      {"rules: [{level: metadata}]", "rules[0].level: metadata is none of"},
      {"rules: [{level: None, stages: [x]}]", "rules[0].stages: no such field"},
      {"rules: [{level: None, omitStages: [x]}]", "rules[0].omitStages: x is none of"},
      {"rules: [{level: None, nonResourceURLs: [x]}]", "rules[0].nonResourceURLs: x is no path"},
      {"rules: [{level: None, nonResourceURLs: [/x], namespaces: [a]}]", "both resources and"},
      {"rules: [{level: None}]\n---\na: b", "one document is expected"},
      {"rules: {", "line"},
  };
  for (const auto& c : kCases)
    EXPECT_THAT(Evaluate(c.text, {}, "/"), testing::HasSubstr(c.error)) << c.text;
  EXPECT_FALSE(Policy::Parse("").ok());
  EXPECT_FALSE(Policy::Parse("kind: Policy\nrules: [{level: None}]").ok());
}

}  // namespace
}  // namespace strata::audit

#include "server/auth/cluster_trust.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/k8s/core_v1.pb.h"
#include "proto/k8s/list.pb.h"
#include "proto/k8s/rbac_v1.pb.h"
#include "proto/k8s/runtime.pb.h"
#include "server/auth/client_certificate.h"
#include "server/auth/cluster_rbac.h"
#include "test/support/certificates.h"
#include "test/support/fake_kube.h"
#include "test/support/verdicts.h"

namespace strata::auth {
namespace {

namespace meta = ::k8s::io::apimachinery::pkg::apis::meta::v1;
using ::k8s::io::api::core::v1::ConfigMap;
using testing_support::Identity;
using testing_support::Issue;
using Data = std::map<std::string, std::string>;

constexpr int64_t kDay = 86'400;

std::string Envelope(const google::protobuf::Message& message) {
  ::k8s::io::apimachinery::pkg::runtime::Unknown unknown;
  unknown.set_raw(message.SerializeAsString());
  return std::string("k8s\0", 4) + unknown.SerializeAsString();
}

kube::Response List(const std::vector<std::string>& items) {
  meta::RawList list;
  list.mutable_metadata()->set_resource_version("1");
  for (const std::string& item : items) list.add_items(item);
  return {200, Envelope(list)};
}

class ClusterTrusts : public testing::Test {
 protected:
  void Publish(const Data& data) {
    ConfigMap map;
    map.mutable_metadata()->set_namespace_("kube-system");
    map.mutable_metadata()->set_name("extension-apiserver-authentication");
    for (const auto& [key, value] : data) (*map.mutable_data())[key] = value;
    if (!listed) {
      listed = true;
      trust.Start();
      kube.RunTask();
      return kube.Answer(List({map.SerializeAsString()}));
    }
    map.mutable_metadata()->set_resource_version("2");
    meta::WatchEvent event;
    event.set_type("MODIFIED");
    event.mutable_object()->set_raw(Envelope(map));
    const std::string bytes = event.SerializeAsString();
    std::string frame(4, '\0');
    for (size_t i = 0; i < 4; ++i) frame[i] = static_cast<char>(bytes.size() >> (24 - 8 * i));
    kube.pending.back().data(frame + bytes);
  }
  std::string Who(const Authenticator& authenticator, const Identity& identity) {
    auto peer = std::make_shared<http::Peer>();
    peer->certificate_chain.push_back(identity.Der());
    http::Request request;
    request.peer = peer;
    request.headers.Add("x-remote-user", "alice");
    std::string who = "nobody";
    testing_support::Authenticate(authenticator, request, [&](const Authentication& r) {
      if (r.result == Authentication::Result::kUser) who = r.user->name;
      if (r.result == Authentication::Result::kError) who = "error";
    });
    return who;
  }

  testing_support::FakeKube kube;
  base::FakeClock clock;
  const int64_t now = std::chrono::system_clock::to_time_t(clock.WallNow());
  const std::unique_ptr<Identity> ca = Issue(nullptr, "ca", {}, now - kDay, now + kDay, nullptr);
  const std::unique_ptr<Identity> proxy_ca =
      Issue(nullptr, "proxy-ca", {}, now - kDay, now + kDay, nullptr);
  const std::unique_ptr<Identity> next_ca =
      Issue(nullptr, "next-ca", {}, now - kDay, now + kDay, nullptr);
  const std::shared_ptr<CaPool> clients = std::make_shared<CaPool>(clock);
  const std::shared_ptr<CaPool> proxies = std::make_shared<CaPool>(clock);
  obs::Metrics metrics;
  const ClientCertificate certificate{clients, clock, metrics};
  RequestHeader header{proxies, {}};
  std::string ca_names;
  bool listed = false;
  ClusterTrust trust{
      kube,
      {clients, proxies, &header, [this](const std::string& pem) { ca_names = pem; }},
      obs::NullLogger()};
};

TEST_F(ClusterTrusts, BothCasAndTheHeadersComeFromTheConfigMapAndChangeWithIt) {
  const auto proxy = Issue(proxy_ca.get(), "front", {}, now - kDay, now + kDay, "clientAuth");
  const auto next = Issue(next_ca.get(), "front", {}, now - kDay, now + kDay, "clientAuth");
  const auto bob = Issue(ca.get(), "bob", {}, now - kDay, now + kDay, "clientAuth");
  EXPECT_EQ(Who(header, *proxy), "nobody");
  EXPECT_FALSE(trust.synced());
  Data data = {{"client-ca-file", ca->Pem()},
               {"requestheader-client-ca-file", proxy_ca->Pem()},
               {"requestheader-username-headers", R"(["X-Remote-User"])"},
               {"requestheader-group-headers", R"(["X-Remote-Group"])"},
               {"requestheader-allowed-names", R"(["front"])"}};
  Publish(data);
  EXPECT_TRUE(trust.synced()) << trust.status();
  EXPECT_EQ(Who(header, *proxy), "alice");
  EXPECT_EQ(Who(certificate, *bob), "bob");
  EXPECT_EQ(Who(header, *bob), "error");
  EXPECT_THAT(ca_names,
              testing::AllOf(testing::HasSubstr(ca->Pem()), testing::HasSubstr(proxy_ca->Pem())));

  data["requestheader-client-ca-file"] = next_ca->Pem();
  Publish(data);
  EXPECT_EQ(Who(header, *proxy), "error");
  EXPECT_EQ(Who(header, *next), "alice");

  data["requestheader-allowed-names"] = "front";
  data["requestheader-client-ca-file"] = proxy_ca->Pem();
  Publish(data);
  EXPECT_EQ(Who(header, *next), "alice") << "what can't be read changes nothing";
  EXPECT_FALSE(trust.status().ok());
}

TEST(ReadRequestHeaderConfig, ErrorsNameTheKey) {
  for (const char* bad : {"x", "{}", "[1]", R"(["a")", R"("a")"}) {
    const auto config = ReadRequestHeaderConfig({{"requestheader-group-headers", bad}});
    EXPECT_THAT(std::string(base::Message(config.status())),
                testing::StartsWith("requestheader-group-headers: "))
        << bad;
  }
  const auto empty = ReadRequestHeaderConfig({});
  ASSERT_TRUE(empty.ok());
  EXPECT_TRUE(empty->username_headers.empty());
}

TEST(ClusterRbacs, DecideOnceAllFourKindsAreKnown) {
  testing_support::FakeKube kube;
  Rbac rbac;
  ClusterRbac cluster(kube, rbac, obs::NullLogger());
  cluster.Start();
  for (int i = 0; i < 4; ++i) kube.RunTask();
  rbac_v1::ClusterRole role;
  role.mutable_metadata()->set_name("reader");
  auto& rule = *role.add_rules();
  rule.add_verbs("get");
  rule.add_non_resource_urls("/metrics");
  rbac_v1::ClusterRoleBinding binding;
  binding.mutable_metadata()->set_name("b");
  binding.mutable_role_ref()->set_kind("ClusterRole");
  binding.mutable_role_ref()->set_name("reader");
  binding.add_subjects()->set_kind("User");
  binding.mutable_subjects(0)->set_name("alice");
  const auto ask = [&] {
    Decision decision;
    testing_support::Authorize(rbac, {"alice", "", {}, {}},
                               *api::ParseRequestInfo("GET", "/metrics"),
                               [&](Decision d) { decision = std::move(d); });
    return decision;
  };
  std::map<std::string, kube::Response> answers = {
      {"roles", List({})},
      {"clusterroles", List({role.SerializeAsString()})},
      {"rolebindings", List({})},
      {"clusterrolebindings", List({binding.SerializeAsString()})}};
  for (int i = 0; i < 4; ++i) {
    EXPECT_NE(ask().error, "");
    EXPECT_FALSE(cluster.synced());
    const auto pending = kube.Take();
    const size_t start = pending.request.path.rfind('/') + 1;
    pending.done(
        answers.at(pending.request.path.substr(start, pending.request.path.find('?') - start)));
  }
  EXPECT_TRUE(cluster.synced());
  EXPECT_EQ(ask().verdict, Decision::Verdict::kAllow);
}

}  // namespace
}  // namespace strata::auth

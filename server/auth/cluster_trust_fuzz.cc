// Whatever kube-apiserver says is the ConfigMap of whom to believe: nobody is believed without a
// certificate that verifies.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "proto/k8s/core_v1.pb.h"
#include "server/auth/cluster_trust.h"
#include "test/fuzz/input.h"
#include "test/support/fake_kube.h"
#include "test/support/kube_bytes.h"

namespace {

using namespace strata;

constexpr std::array kKeys = {"requestheader-username-headers",
                              "requestheader-uid-headers",
                              "requestheader-group-headers",
                              "requestheader-extra-headers-prefix",
                              "requestheader-allowed-names",
                              "requestheader-client-ca-file",
                              "client-ca-file"};

// The input's own, or with its texts under the keys that count.
std::string ConfigMapOf(fuzz::Input& input) {
  const uint8_t how = input.Byte();
  if (how == 0) return std::string(input.Rest());
  k8s::io::api::core::v1::ConfigMap map;
  map.mutable_metadata()->set_name("extension-apiserver-authentication");
  while (!input.empty()) {
    const char* key = kKeys[input.Byte() % kKeys.size()];
    (*map.mutable_data())[key] = std::string(input.Text());
  }
  return map.SerializeAsString();
}

void CheckHeaders(const auth::RequestHeader& headers) {
  http::Request request;
  for (const char* name : {"x-remote-user", "x-remote-group", "x-remote-extra-a", "x", "a"})
    request.headers.Add(name, "admin");
  const auto later = []() -> auth::Authenticator::Done { std::abort(); };
  for (const auto& chain : {std::vector<std::string>(), {"no certificate"}}) {
    request.peer = std::make_shared<const http::Peer>(http::Peer{"192.0.2.1:1", chain});
    const auto result = headers.Authenticate(request, later);
    if (!result || result->user != nullptr) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  const base::FakeClock clock;
  testing_support::FakeKube api;
  const auto client_cas = std::make_shared<auth::CaPool>(clock);
  const auto proxy_cas = std::make_shared<auth::CaPool>(clock);
  auth::RequestHeader headers(proxy_cas, {});
  auth::ClusterTrust trust(api, {client_cas, proxy_cas, &headers, nullptr}, obs::NullLogger());
  trust.Start();
  api.RunTask();
  api.Answer(testing_support::Page({ConfigMapOf(input)}, "7"));
  if (trust.synced() != trust.status().ok()) std::abort();
  CheckHeaders(headers);
  return 0;
}

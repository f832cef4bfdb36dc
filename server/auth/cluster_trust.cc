#include "server/auth/cluster_trust.h"

#include <utility>
#include <vector>

#include "lib/codec/decode_json.h"
#include "proto/k8s/core_v1.pb.h"

namespace strata::auth {
namespace {

using ::k8s::io::api::core::v1::ConfigMap;

constexpr const char* kPath = "/api/v1/namespaces/kube-system/configmaps";
constexpr const char* kSelector = "metadata.name=extension-apiserver-authentication";
constexpr std::string_view kClientCa = "client-ca-file";
constexpr std::string_view kProxyCa = "requestheader-client-ca-file";

std::string_view ValueOf(const base::StringMap<std::string>& data, std::string_view key) {
  const auto found = data.find(key);
  return found == data.end() ? std::string_view() : std::string_view(found->second);
}

base::Status SetCas(const base::StringMap<std::string>& data, std::string_view key, CaPool* pool) {
  const std::string_view pem = ValueOf(data, key);
  if (pool == nullptr || pem.empty()) return base::OkStatus();
  return base::Annotate(pool->Set(pem), key);
}

}  // namespace

base::StatusOr<RequestHeaderConfig> ReadRequestHeaderConfig(
    const base::StringMap<std::string>& data) {
  RequestHeaderConfig config;
  const struct {
    std::string_view key;
    std::vector<std::string>& to;
  } kLists[] = {
      {"requestheader-username-headers", config.username_headers},
      {"requestheader-uid-headers", config.uid_headers},
      {"requestheader-group-headers", config.group_headers},
      {"requestheader-extra-headers-prefix", config.extra_header_prefixes},
      {"requestheader-allowed-names", config.allowed_names},
  };
  for (const auto& [key, to] : kLists) {
    to.clear();
    const std::string_view json = ValueOf(data, key);
    if (json.empty()) continue;
    auto list = codec::DecodeStrings(json);
    if (!list.ok()) return base::Annotate(list.status(), key);
    to = *std::move(list);
  }
  return config;
}

ClusterTrust::ClusterTrust(kube::Api& api, Targets targets, const obs::Logger& log)
    : targets_(std::move(targets)),
      informer_(
          api, {kPath, kSelector}, {},
          [this](const kube::Informer::Objects& objects) { return Take(objects); }, log) {}

base::Status ClusterTrust::Take(const kube::Informer::Objects& objects) const {
  if (objects.empty()) return base::OkStatus();
  ConfigMap map;
  if (!map.ParseFromString(objects.begin()->second))
    return base::DataLossError("the ConfigMap is malformed");
  const base::StringMap<std::string> data(map.data().begin(), map.data().end());
  base::Status status = SetCas(data, kClientCa, targets_.client_cas.get());
  if (targets_.proxy_cas != nullptr) {
    auto config = ReadRequestHeaderConfig(data);
    if (config.ok()) {
      // First who may be a proxy at all: at no moment is a new CA believed under old names.
      targets_.headers->Set(*std::move(config));
      status.Update(SetCas(data, kProxyCa, targets_.proxy_cas.get()));
    } else {
      status.Update(config.status());
    }
  }
  if (targets_.ca_names != nullptr) {
    targets_.ca_names(std::string(ValueOf(data, kClientCa)) + "\n" +
                      std::string(ValueOf(data, kProxyCa)));
  }
  return status;
}

}  // namespace strata::auth

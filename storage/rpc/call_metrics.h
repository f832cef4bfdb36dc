// What is counted of calls, under the names that etcd's dashboards and alerts use
// (github.com/grpc-ecosystem/go-grpc-prometheus).
#pragma once

#include <grpcpp/support/server_interceptor.h>

#include <memory>
#include <string>
#include <unordered_map>

#include "lib/obs/lazy_counters.h"
#include "lib/obs/metrics.h"

namespace strata::rpc {

// Thread-safe. Labels come from the services' own methods, never from a call.
class CallMetrics {
 public:
  struct Method {
    std::string type, service, name;
    std::unique_ptr<obs::Counter> started;
    std::unique_ptr<obs::Histogram> seconds;
    obs::LazyCounters<17> handled;  // by code; OK from the beginning
  };

  explicit CallMetrics(obs::Metrics& metrics);

  // Null for a method that no service of ours has.
  Method* Find(const char* path) const;
  void Handled(Method& method, int code, double seconds) const;

  // Bytes of messages, without gRPC's framing.
  const obs::Counter received_bytes, sent_bytes;

 private:
  const obs::Counter& HandledBy(Method& method, int code) const;

  obs::Metrics& metrics_;
  std::unordered_map<std::string, std::unique_ptr<Method>>
      methods_;  // by "/package.Service/Method"
};

// What a server's builder takes; `metrics` must outlive the server.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> CountingCalls(
    const CallMetrics& metrics);

}  // namespace strata::rpc

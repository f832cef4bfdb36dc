#include "storage/rpc/call_metrics.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message_lite.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include "proto/etcd/rpc.pb.h"

namespace strata::rpc {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::Interceptor;
using grpc::experimental::InterceptorBatchMethods;
using grpc::experimental::ServerRpcInfo;

// As Go's library spells them.
constexpr const char* kCodes[] = {
    "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
    "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
    "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
    "DataLoss", "Unauthenticated"};
constexpr int kCanceled = 1, kUnknown = 2;

const std::vector<double> kSeconds = {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};

std::string TypeOf(const google::protobuf::MethodDescriptor& method) {
  if (method.client_streaming()) return method.server_streaming() ? "bidi_stream" : "client_stream";
  return method.server_streaming() ? "server_stream" : "unary";
}

// One call's. Ends with it, also where its client went away before a status could be sent.
class Counting final : public Interceptor {
 public:
  Counting(const CallMetrics& metrics, CallMetrics::Method& method)
      : metrics_(metrics), method_(method) {
    method_.started->Increment();
  }
  ~Counting() override {
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start_;
    metrics_.Handled(method_, code_, took.count());
  }

  void Intercept(InterceptorBatchMethods* batch) override {
    if (batch->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS))
      code_ = static_cast<int>(batch->GetSendStatus().error_code());
    if (batch->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_MESSAGE))
      CountReceived(batch->GetRecvMessage());
    if (batch->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_MESSAGE))
      metrics_.sent_bytes.Increment(
          static_cast<double>(batch->GetSerializedSendMessage()->Length()));
    batch->Proceed();
  }

 private:
  // Null at a stream's end. Whatever the method, it is a generated message.
  void CountReceived(const void* message) {
    if (message == nullptr) return;
    const size_t bytes = static_cast<const google::protobuf::MessageLite*>(message)->ByteSizeLong();
    metrics_.received_bytes.Increment(static_cast<double>(bytes));
  }

  const CallMetrics& metrics_;
  CallMetrics::Method& method_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  int code_ = kCanceled;
};

class Factory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit Factory(const CallMetrics& metrics) : metrics_(metrics) {}
  Interceptor* CreateServerInterceptor(ServerRpcInfo* info) override {
    CallMetrics::Method* method = metrics_.Find(info->method());
    return method == nullptr ? nullptr : new Counting(metrics_, *method);
  }

 private:
  const CallMetrics& metrics_;
};

}  // namespace

CallMetrics::CallMetrics(obs::Metrics& metrics)
    : received_bytes(metrics.AddCounter("etcd_network_client_grpc_received_bytes_total",
                                        "Bytes of messages from clients.")),
      sent_bytes(metrics.AddCounter("etcd_network_client_grpc_sent_bytes_total",
                                    "Bytes of messages to clients.")),
      metrics_(metrics) {
  const google::protobuf::FileDescriptor* file = etcdserverpb::RangeRequest::descriptor()->file();
  for (int s = 0; s < file->service_count(); ++s) {
    const auto* service = file->service(s);
    for (int m = 0; m < service->method_count(); ++m) {
      const auto* descriptor = service->method(m);
      auto method = std::make_unique<Method>();
      method->type = TypeOf(*descriptor);
      method->service = service->full_name();
      method->name = descriptor->name();
      const obs::Labels labels = {{"grpc_type", method->type},
                                  {"grpc_service", method->service},
                                  {"grpc_method", method->name}};
      method->started = std::make_unique<obs::Counter>(
          metrics.AddCounter("grpc_server_started_total", "Calls that were begun.", labels));
      method->seconds = std::make_unique<obs::Histogram>(metrics.AddHistogram(
          "grpc_server_handling_seconds", "Time that calls took.", kSeconds, labels));
      HandledBy(*method, 0);  // differences of these and of those begun are asked for
      methods_["/" + method->service + "/" + method->name] = std::move(method);
    }
  }
}

CallMetrics::Method* CallMetrics::Find(const char* path) const {
  const auto found = methods_.find(path);
  return found == methods_.end() ? nullptr : found->second.get();
}

const obs::Counter& CallMetrics::HandledBy(Method& method, int code) const {
  return method.handled.At(static_cast<size_t>(code), [&] {
    return metrics_.AddCounter("grpc_server_handled_total", "Calls that ended, by their status.",
                               {{"grpc_type", method.type},
                                {"grpc_service", method.service},
                                {"grpc_method", method.name},
                                {"grpc_code", kCodes[code]}});
  });
}

void CallMetrics::Handled(Method& method, int code, double seconds) const {
  if (code < 0 || code >= static_cast<int>(std::size(kCodes))) code = kUnknown;
  HandledBy(method, code).Increment();
  method.seconds->Observe(seconds);
}

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> CountingCalls(
    const CallMetrics& metrics) {
  return std::make_unique<Factory>(metrics);
}

}  // namespace strata::rpc

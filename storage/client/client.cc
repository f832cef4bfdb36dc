#include "storage/client/client.h"

#include <algorithm>

#include "storage/client/channel.h"

namespace strata::client {
namespace {

using base::StatusCode;
using std::chrono::duration;
using std::chrono::steady_clock;

bool IsEndpointsFault(const base::Status& status) {
  return status.code() == StatusCode::kUnavailable ||
         status.code() == StatusCode::kDeadlineExceeded;
}

}  // namespace

void Cancellation::Cancel() {
  absl::MutexLock lock(&mu_);
  cancelled_ = true;
  for (grpc::ClientContext* context : calls_) context->TryCancel();
}

bool Cancellation::Enter(grpc::ClientContext& context) {
  absl::MutexLock lock(&mu_);
  if (!cancelled_) calls_.push_back(&context);
  return !cancelled_;
}

void Cancellation::Leave(grpc::ClientContext& context) {
  absl::MutexLock lock(&mu_);
  std::erase(calls_, &context);
}

Client::Operation::Operation(obs::Metrics& metrics, const char* name)
    : seconds(metrics.AddHistogram(
          "etcd_request_duration_seconds", "Duration of requests to the storage backend.",
          {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},
          {{"operation", name}})),
      requests(metrics.AddCounter("etcd_requests_total", "Requests to the storage backend.",
                                  {{"operation", name}})),
      errors(metrics.AddCounter("etcd_request_errors_total",
                                "Requests to the storage backend that failed.",
                                {{"operation", name}})) {}

base::StatusOr<std::unique_ptr<Client>> Client::Create(const Options& options,
                                                       obs::Metrics& metrics) {
  std::vector<std::unique_ptr<Endpoint>> endpoints;
  for (const std::string& url : options.endpoints) {
    STRATA_ASSIGN_OR_RETURN(auto channel, MakeChannel(url, options));
    endpoints.push_back(std::make_unique<Endpoint>(url, channel, channel));
  }
  if (endpoints.empty())
    return base::InvalidArgumentError("--etcd-servers: at least one URL is needed");
  return std::unique_ptr<Client>(new Client(std::move(endpoints), options, metrics));
}

std::unique_ptr<Client> Client::OverChannel(std::shared_ptr<grpc::Channel> channel,
                                            obs::Metrics& metrics) {
  std::vector<std::unique_ptr<Endpoint>> endpoints;
  endpoints.push_back(std::make_unique<Endpoint>("in-process", channel, nullptr));
  return std::unique_ptr<Client>(new Client(std::move(endpoints), {}, metrics));
}

Client::Client(std::vector<std::unique_ptr<Endpoint>> endpoints, const Options& options,
               obs::Metrics& metrics)
    : options_(options),
      endpoints_(std::move(endpoints)),
      get_(metrics, "get"),
      list_(metrics, "list"),
      txn_(metrics, "txn"),
      status_(metrics, "status") {}

Client::~Client() = default;

Client::Endpoint& Client::current() const {
  absl::MutexLock lock(&mu_);
  return *endpoints_[current_];
}

void Client::Leave(const Endpoint& failed) {
  absl::MutexLock lock(&mu_);
  if (endpoints_[current_].get() == &failed) current_ = (current_ + 1) % endpoints_.size();
}

base::Status Client::Authorize(Endpoint& endpoint, grpc::ClientContext& context) {
  if (options_.username.empty()) return base::OkStatus();
  std::string token;
  {
    absl::MutexLock lock(&mu_);
    token = token_;
  }
  if (token.empty()) {
    grpc::ClientContext auth_context;
    auth_context.set_deadline(context.deadline());
    etcdserverpb::AuthenticateRequest request;
    request.set_name(options_.username);
    request.set_password(options_.password);
    etcdserverpb::AuthenticateResponse response;
    const grpc::Status status = endpoint.auth->Authenticate(&auth_context, request, &response);
    // "authentication is not enabled": then nobody needs a token.
    if (status.error_code() == grpc::StatusCode::FAILED_PRECONDITION) return base::OkStatus();
    STRATA_RETURN_IF_ERROR(FromGrpc(status, endpoint.url));
    token = response.token();
    absl::MutexLock lock(&mu_);
    token_ = token;
  }
  context.AddMetadata("token", token);
  return base::OkStatus();
}

void Client::ForgetToken() {
  absl::MutexLock lock(&mu_);
  token_.clear();
}

// Once on each endpoint, beginning with the current one; once more if the token has expired.
template <typename Call>
base::Status Client::Try(const Operation& operation, base::MonotonicTime deadline,
                         Cancellation* cancellation, const Call& call) {
  const auto start = steady_clock::now();
  base::Status status;
  bool fresh_token = false;
  for (size_t tried = 0; tried < endpoints_.size();) {
    Endpoint& endpoint = current();
    grpc::ClientContext context;
    // A share of what is left for each endpoint that hasn't been tried, so that one that hangs
    // doesn't use it all.
    const auto left = deadline - steady_clock::now();
    const auto until = steady_clock::now() + left / static_cast<int64_t>(endpoints_.size() - tried);
    context.set_deadline(WallDeadline(until));
    endpoint.AwaitConnection(until);
    if (cancellation != nullptr && !cancellation->Enter(context))
      return base::CancelledError("shutting down");
    status = Authorize(endpoint, context);
    if (status.ok()) status = FromGrpc(call(endpoint, context), endpoint.url);
    if (cancellation != nullptr) cancellation->Leave(context);
    if (IsTokensFault(status) && !options_.username.empty() && !fresh_token) {
      ForgetToken();
      fresh_token = true;
      continue;
    }
    if (!IsEndpointsFault(status)) break;
    Leave(endpoint);
    ++tried;
  }
  operation.requests.Increment();
  operation.seconds.Observe(duration<double>(steady_clock::now() - start).count());
  if (!status.ok()) operation.errors.Increment();
  return status;
}

base::StatusOr<RangeResult> Client::Range(const RangeOptions& options, base::MonotonicTime deadline,
                                          Cancellation* cancellation) {
  etcdserverpb::RangeRequest request;
  request.set_key(options.key);
  if (!options.end.empty()) request.set_range_end(options.end);
  request.set_limit(options.limit);
  request.set_revision(options.revision);
  request.set_keys_only(options.keys_only);
  request.set_count_only(options.count_only);
  if (options.newest_first) {
    request.set_sort_order(etcdserverpb::RangeRequest::DESCEND);
    request.set_sort_target(etcdserverpb::RangeRequest::MOD);
  }
  etcdserverpb::RangeResponse response;
  STRATA_RETURN_IF_ERROR(Try(options.end.empty() ? get_ : list_, deadline, cancellation,
                             [&](Endpoint& endpoint, grpc::ClientContext& context) {
                               if (!options.traceparent.empty())
                                 context.AddMetadata("traceparent", options.traceparent);
                               return endpoint.kv->Range(&context, request, &response);
                             }));
  RangeResult result;
  result.kvs.reserve(response.kvs_size());
  for (auto& kv : *response.mutable_kvs()) {
    result.kvs.push_back({std::move(*kv.mutable_key()), std::move(*kv.mutable_value()),
                          kv.create_revision(), kv.mod_revision()});
  }
  result.more = response.more();
  result.count = response.count();
  result.revision = response.header().revision();
  result.cluster_id = response.header().cluster_id();
  result.raft_term = response.header().raft_term();
  return result;
}

base::StatusOr<std::vector<KeyValue>> Client::Read(const std::vector<std::string>& keys,
                                                   base::MonotonicTime deadline) {
  etcdserverpb::TxnRequest request;
  for (const std::string& key : keys) request.add_success()->mutable_request_range()->set_key(key);
  etcdserverpb::TxnResponse response;
  STRATA_RETURN_IF_ERROR(
      Try(get_, deadline, nullptr, [&](Endpoint& endpoint, grpc::ClientContext& context) {
        return endpoint.kv->Txn(&context, request, &response);
      }));
  if (response.responses_size() != request.success_size()) {
    return base::InternalError("the store answered another transaction");
  }
  std::vector<KeyValue> all(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    all[i].key = keys[i];
    auto& range = *response.mutable_responses(static_cast<int>(i))->mutable_response_range();
    if (range.kvs_size() == 0) continue;
    auto& kv = *range.mutable_kvs(0);
    all[i].value = std::move(*kv.mutable_value());
    all[i].create_revision = kv.create_revision();
    all[i].mod_revision = kv.mod_revision();
  }
  return all;
}

base::StatusOr<bool> Client::Commit(const std::vector<Put>& puts, base::MonotonicTime deadline) {
  etcdserverpb::TxnRequest request;
  for (const Put& put : puts) {
    auto* compare = request.add_compare();
    compare->set_key(put.key);
    compare->set_target(etcdserverpb::Compare::MOD);
    compare->set_result(etcdserverpb::Compare::EQUAL);
    compare->set_mod_revision(put.expected);
    auto* operation = request.add_success()->mutable_request_put();
    operation->set_key(put.key);
    operation->set_value(put.value);
  }
  etcdserverpb::TxnResponse response;
  STRATA_RETURN_IF_ERROR(
      Try(txn_, deadline, nullptr, [&](Endpoint& endpoint, grpc::ClientContext& context) {
        return endpoint.kv->Txn(&context, request, &response);
      }));
  return response.succeeded();
}

base::StatusOr<std::string> Client::Version(base::MonotonicTime deadline,
                                            Cancellation* cancellation) {
  etcdserverpb::StatusResponse response;
  STRATA_RETURN_IF_ERROR(
      Try(status_, deadline, cancellation, [&](Endpoint& endpoint, grpc::ClientContext& context) {
        return endpoint.maintenance->Status(&context, {}, &response);
      }));
  return response.version();
}

}  // namespace strata::client

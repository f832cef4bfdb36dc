#include "storage/client/client.h"

#include <algorithm>

#include "storage/client/channel.h"

namespace strata::client {
namespace {

using base::StatusCode;
using std::chrono::duration;
using std::chrono::steady_clock;

// An endpoint that takes longer for a little read may be frozen, or parted from the others.
constexpr std::chrono::milliseconds kDirectPatience(500);

bool IsEndpointsFault(const base::Status& status) {
  return status.code() == StatusCode::kUnavailable ||
         status.code() == StatusCode::kDeadlineExceeded;
}

}  // namespace

void Cancellation::Cancel() {
  absl::MutexLock lock(&mu_);
  cancelled_ = true;
  for (const Canceller* cancel : calls_) (*cancel)();
}

bool Cancellation::Enter(const Canceller& cancel) {
  absl::MutexLock lock(&mu_);
  if (!cancelled_) calls_.push_back(&cancel);
  return !cancelled_;
}

void Cancellation::Leave(const Canceller& cancel) {
  absl::MutexLock lock(&mu_);
  std::erase(calls_, &cancel);
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

std::unique_ptr<Client> Client::OverChannel(const std::shared_ptr<grpc::Channel>& channel,
                                            obs::Metrics& metrics, InProcessRange range) {
  std::vector<std::unique_ptr<Endpoint>> endpoints;
  endpoints.push_back(std::make_unique<Endpoint>("in-process", channel, nullptr));
  endpoints.back()->in_process = std::move(range);
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

base::StatusOr<std::string> Client::Token(Endpoint& endpoint, base::MonotonicTime deadline) {
  if (options_.username.empty()) return std::string();
  {
    absl::MutexLock lock(&mu_);
    if (!token_.empty()) return token_;
  }
  grpc::ClientContext context;
  context.set_deadline(WallDeadline(deadline));
  endpoint.AwaitConnection(deadline);
  etcdserverpb::AuthenticateRequest request;
  request.set_name(options_.username);
  request.set_password(options_.password);
  etcdserverpb::AuthenticateResponse response;
  const grpc::Status status = endpoint.auth->Authenticate(&context, request, &response);
  // "authentication is not enabled": then nobody needs a token.
  if (status.error_code() == grpc::StatusCode::FAILED_PRECONDITION) return std::string();
  STRATA_RETURN_IF_ERROR(FromGrpc(status, endpoint.url));
  absl::MutexLock lock(&mu_);
  token_ = response.token();
  return token_;
}

void Client::ForgetToken() {
  absl::MutexLock lock(&mu_);
  token_.clear();
}

struct Client::Attempt {
  Endpoint& endpoint;
  const base::MonotonicTime until;
  const std::string token;  // of etcd's users; empty: none
};

// Once on each endpoint, beginning with the current one; once more if the token has expired.
template <typename Call>
base::Status Client::Try(const Operation& operation, base::MonotonicTime deadline, const Call& call,
                         base::MonotonicTime::duration patience) {
  const auto start = steady_clock::now();
  base::Status status;
  bool fresh_token = false;
  for (size_t tried = 0; tried < endpoints_.size();) {
    Endpoint& endpoint = current();
    // A share of what is left for each endpoint that hasn't been tried, so that one that hangs
    // doesn't use it all.
    const auto left = deadline - steady_clock::now();
    const auto untried = static_cast<int64_t>(endpoints_.size() - tried);
    const auto until =
        steady_clock::now() + (untried == 1 ? left : std::min(left / untried, patience));
    auto token = Token(endpoint, until);
    status = token.ok() ? call(Attempt{endpoint, until, *std::move(token)}) : token.status();
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

template <typename Call>
base::Status Client::TryGrpc(const Operation& operation, base::MonotonicTime deadline,
                             Cancellation* cancellation, const Call& call) {
  return Try(operation, deadline, [&](const Attempt& attempt) {
    grpc::ClientContext context;
    context.set_deadline(WallDeadline(attempt.until));
    if (!attempt.token.empty()) context.AddMetadata("token", attempt.token);
    attempt.endpoint.AwaitConnection(attempt.until);
    return Cancellable(
        cancellation, [&] { context.TryCancel(); },
        [&] { return FromGrpc(call(attempt.endpoint, context), attempt.endpoint.url); });
  });
}

namespace {

etcdserverpb::RangeRequest Encode(const RangeOptions& options) {
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
  return request;
}

RangeResult Decode(etcdserverpb::RangeResponse response) {
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

}  // namespace

base::StatusOr<RangeResult> Client::Range(const RangeOptions& options, base::MonotonicTime deadline,
                                          Cancellation* cancellation) {
  const etcdserverpb::RangeRequest request = Encode(options);
  etcdserverpb::RangeResponse response;
  STRATA_RETURN_IF_ERROR(TryGrpc(options.end.empty() ? get_ : list_, deadline, cancellation,
                                 [&](Endpoint& endpoint, grpc::ClientContext& context) {
                                   if (!options.traceparent.empty())
                                     context.AddMetadata("traceparent", options.traceparent);
                                   return endpoint.kv->Range(&context, request, &response);
                                 }));
  return Decode(std::move(response));
}

base::StatusOr<RangeResult> Client::RangeDirectly(const RangeOptions& options,
                                                  base::MonotonicTime deadline,
                                                  Cancellation* cancellation) {
  if (current().dialled == nullptr && current().in_process == nullptr)
    return Range(options, deadline, cancellation);
  absl::MutexLock lock(&direct_mu_);
  const etcdserverpb::RangeRequest request = Encode(options);
  etcdserverpb::RangeResponse response;
  bool dialled = false;
  const Endpoint* first = nullptr;
  const Endpoint* last = nullptr;
  const auto call = [&](const Attempt& attempt) -> base::Status {
    Endpoint& endpoint = attempt.endpoint;
    last = &endpoint;
    if (first == nullptr) first = last;
    if (endpoint.in_process != nullptr)
      return FromGrpc(endpoint.in_process(request, &response), endpoint.url);
    if (endpoint.direct == nullptr)
      endpoint.direct = std::make_unique<DirectConnection>(endpoint.url, options_);
    const auto interrupt = [&] { endpoint.direct->Interrupt(); };
    return Cancellable(cancellation, interrupt, [&]() -> base::Status {
      const auto answer = endpoint.direct->Call({.path = "/etcdserverpb.KV/Range",
                                                 .message = request.SerializeAsString(),
                                                 .token = attempt.token},
                                                attempt.until);
      if (!answer.ok()) return At(endpoint.url, answer.status());
      dialled = endpoint.direct->dialled();
      return response.ParseFromString(*answer)
                 ? base::OkStatus()
                 : At(endpoint.url, base::InternalError("that is no answer to a Range"));
    });
  };
  STRATA_RETURN_IF_ERROR(Try(get_, deadline, call, kDirectPatience));
  RangeResult result = Decode(std::move(response));
  result.dialled = dialled;
  result.moved = first != last;
  return result;
}

base::StatusOr<std::vector<KeyValue>> Client::Read(const std::vector<std::string>& keys,
                                                   base::MonotonicTime deadline) {
  etcdserverpb::TxnRequest request;
  for (const std::string& key : keys) request.add_success()->mutable_request_range()->set_key(key);
  etcdserverpb::TxnResponse response;
  STRATA_RETURN_IF_ERROR(
      TryGrpc(get_, deadline, nullptr, [&](Endpoint& endpoint, grpc::ClientContext& context) {
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
      TryGrpc(txn_, deadline, nullptr, [&](Endpoint& endpoint, grpc::ClientContext& context) {
        return endpoint.kv->Txn(&context, request, &response);
      }));
  return response.succeeded();
}

base::StatusOr<std::string> Client::Version(base::MonotonicTime deadline,
                                            Cancellation* cancellation) {
  etcdserverpb::StatusResponse response;
  STRATA_RETURN_IF_ERROR(TryGrpc(status_, deadline, cancellation,
                                 [&](Endpoint& endpoint, grpc::ClientContext& context) {
                                   return endpoint.maintenance->Status(&context, {}, &response);
                                 }));
  return response.version();
}

}  // namespace strata::client

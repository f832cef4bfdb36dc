#include "storage/client/client.h"

#include <algorithm>
#include <optional>

#include "storage/client/channel.h"
#include "storage/client/convert.h"
#include "storage/client/endpoint.h"

namespace strata::client {
using std::chrono::duration;
using std::chrono::steady_clock;

// An endpoint that takes longer for a little read may be frozen, or parted from the others.
constexpr std::chrono::milliseconds kDirectPatience(500);

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

Client::CallKind::CallKind(obs::Metrics& metrics, const char* name, bool may_be_repeated)
    : seconds(metrics.AddHistogram(
          "etcd_request_duration_seconds", "Duration of requests to the storage backend.",
          {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},
          {{"operation", name}})),
      requests(metrics.AddCounter("etcd_requests_total", "Requests to the storage backend.",
                                  {{"operation", name}})),
      errors(metrics.AddCounter("etcd_request_errors_total",
                                "Requests to the storage backend that failed.",
                                {{"operation", name}})),
      repeatable(may_be_repeated) {}

base::StatusOr<std::unique_ptr<net::ClientCredentials>> LoadTlsFiles(const Options& options,
                                                                     const obs::Logger& log,
                                                                     obs::Metrics& metrics) {
  std::optional<obs::Gauge> ends;
  if (!options.cert_file.empty()) {
    ends = metrics.AddGauge("strata_etcd_client_certificate_expiration_timestamp_seconds",
                            "When the client certificate for etcd ends, in seconds since 1970.");
  }
  return net::ClientCredentials::Load({.server = "etcd",
                                       .protocol = "h2",
                                       .ca = {"--etcd-cafile", options.ca_file},
                                       .certificate = {"--etcd-certfile", options.cert_file},
                                       .key = {"--etcd-keyfile", options.key_file}},
                                      log, ends);
}

base::StatusOr<std::unique_ptr<Client>> Client::Create(const Options& options,
                                                       const obs::Logger& log,
                                                       obs::Metrics& metrics) {
  if (options.endpoints.empty())
    return base::InvalidArgumentError("--etcd-servers: at least one URL is needed");
  std::vector<net::Address> addresses;
  for (const std::string& url : options.endpoints) {
    STRATA_ASSIGN_OR_RETURN(addresses.emplace_back(), ParseAddress(url));
  }
  std::unique_ptr<net::ClientCredentials> tls;
  if (std::any_of(addresses.begin(), addresses.end(),
                  [](const net::Address& a) { return a.tls; })) {
    STRATA_ASSIGN_OR_RETURN(tls, LoadTlsFiles(options, log, metrics));
  }
  std::vector<std::unique_ptr<Endpoint>> endpoints;
  for (size_t i = 0; i < addresses.size(); ++i) {
    endpoints.push_back(
        std::make_unique<Endpoint>(options.endpoints[i], addresses[i], tls.get(), options));
  }
  return std::unique_ptr<Client>(
      new Client(std::move(tls), std::move(endpoints), options, metrics));
}

std::unique_ptr<Client> Client::OverChannel(const std::shared_ptr<grpc::Channel>& channel,
                                            obs::Metrics& metrics, InProcessRange range) {
  std::vector<std::unique_ptr<Endpoint>> endpoints;
  endpoints.push_back(std::make_unique<Endpoint>(
      "in-process", std::make_shared<const Connection>(channel, nullptr, -1), std::move(range)));
  return std::unique_ptr<Client>(new Client(nullptr, std::move(endpoints), {}, metrics));
}

Client::Client(std::unique_ptr<net::ClientCredentials> tls,
               std::vector<std::unique_ptr<Endpoint>> endpoints, const Options& options,
               obs::Metrics& metrics)
    : options_(options),
      tls_(std::move(tls)),
      endpoints_(std::move(endpoints)),
      get_(metrics, "get", true),
      list_(metrics, "list", true),
      txn_(metrics, "txn", false),
      delete_(metrics, "delete", false),
      status_(metrics, "status", true),
      direct_end_(std::make_unique<CallEnd>()) {}

Client::~Client() = default;

Client::Endpoint& Client::current() const {
  absl::MutexLock lock(&mu_);
  return *endpoints_[current_];
}

void Client::Leave(const Endpoint& failed) {
  absl::MutexLock lock(&mu_);
  if (endpoints_[current_].get() == &failed) current_ = (current_ + 1) % endpoints_.size();
}

struct Client::Attempt {
  Endpoint& endpoint;
  const base::MonotonicTime until;
  const std::string token;  // of etcd's users; empty: none
};

// One call over the endpoint's connection; one that fails is left, so that nothing waits for it to
// be found dead. A connection that was there before may have ended meanwhile: then once more.
template <typename Call>
base::Status Client::OnConnection(const Attempt& attempt, bool repeatable, CallEnd& end,
                                  const Call& call) {
  Endpoint& endpoint = attempt.endpoint;
  for (;;) {
    bool fresh = false;
    const auto connection = endpoint.Connect(end, attempt.until, fresh);
    if (!connection.ok()) return At(endpoint.url, connection.status());
    grpc::ClientContext context;
    context.set_deadline(WallDeadline(attempt.until));
    if (!attempt.token.empty()) context.AddMetadata("token", attempt.token);
    const grpc::Status said = end.Run(context, [&] { return call(**connection, context); });
    const base::Status status = (*connection)->Explain(FromGrpc(said));
    if (!IsConnectionsFault(status)) return At(endpoint.url, status);
    endpoint.Drop(*connection);
    if (fresh || !repeatable || !absl::IsUnavailable(status)) return At(endpoint.url, status);
  }
}

base::StatusOr<std::string> Client::Token(Endpoint& endpoint, CallEnd& end,
                                          base::MonotonicTime deadline) {
  if (options_.username.empty()) return std::string();
  {
    absl::MutexLock lock(&mu_);
    if (!token_.empty()) return token_;
  }
  etcdserverpb::AuthenticateRequest request;
  request.set_name(options_.username);
  request.set_password(options_.password);
  etcdserverpb::AuthenticateResponse response;
  const base::Status status =
      OnConnection({endpoint, deadline, {}}, /*repeatable=*/true, end,
                   [&](const Connection& connection, grpc::ClientContext& context) {
                     return connection.auth->Authenticate(&context, request, &response);
                   });
  // "authentication is not enabled": then nobody needs a token.
  if (absl::IsFailedPrecondition(status) && !IsEndpointsFault(status)) return std::string();
  STRATA_RETURN_IF_ERROR(status);
  absl::MutexLock lock(&mu_);
  token_ = response.token();
  return token_;
}

void Client::LookAtFiles() {
  if (tls_ != nullptr) tls_->Current();
}

std::string Client::endpoints() const {
  std::string all;
  for (const auto& endpoint : endpoints_) all += (all.empty() ? "" : ",") + endpoint->url;
  return all;
}

void Client::ForgetToken() {
  absl::MutexLock lock(&mu_);
  token_.clear();
}

// Once on each endpoint, beginning with the current one; once more if the token has expired.
template <typename Call>
base::Status Client::Try(const CallKind& kind, CallEnd& end, base::MonotonicTime deadline,
                         const Call& call, base::MonotonicTime::duration patience) {
  const auto start = steady_clock::now();
  base::Status status;
  bool fresh_token = false;
  for (size_t tried = 0; tried < endpoints_.size();) {
    Endpoint& endpoint = current();
    // A share of what is left for each endpoint that hasn't been tried, so that one that hangs
    // doesn't use it all.
    const auto now = steady_clock::now();
    const auto untried = static_cast<int64_t>(endpoints_.size() - tried);
    const auto share = (deadline - now) / untried;
    const auto until = now + (untried == 1 ? share : std::min(share, patience));
    auto token = Token(endpoint, end, until);
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
  kind.requests.Increment();
  kind.seconds.Observe(duration<double>(steady_clock::now() - start).count());
  if (!status.ok()) kind.errors.Increment();
  return status;
}

template <typename Call>
base::Status Client::TryGrpc(const CallKind& kind, base::MonotonicTime deadline,
                             Cancellation* cancellation, const Call& call) {
  CallEnd end;
  return Cancellable(
      cancellation, [&] { end.Set(); },
      [&] {
        return Try(kind, end, deadline, [&](const Attempt& attempt) {
          return OnConnection(attempt, kind.repeatable, end, call);
        });
      });
}

base::StatusOr<RangeResult> Client::Range(const RangeOptions& options, base::MonotonicTime deadline,
                                          Cancellation* cancellation) {
  const etcdserverpb::RangeRequest request = Encode(options);
  etcdserverpb::RangeResponse response;
  STRATA_RETURN_IF_ERROR(TryGrpc(options.end.empty() ? get_ : list_, deadline, cancellation,
                                 [&](const Connection& connection, grpc::ClientContext& context) {
                                   if (!options.traceparent.empty())
                                     context.AddMetadata("traceparent", options.traceparent);
                                   return connection.kv->Range(&context, request, &response);
                                 }));
  return Decode(std::move(response));
}

base::StatusOr<RangeResult> Client::RangeDirectly(const RangeOptions& options,
                                                  base::MonotonicTime deadline,
                                                  Cancellation* cancellation) {
  if (const Endpoint& only = current(); !only.dialled && only.in_process == nullptr)
    return Range(options, deadline, cancellation);
  absl::MutexLock lock(&direct_mu_);
  const etcdserverpb::RangeRequest request = Encode(options);
  etcdserverpb::RangeResponse response;
  bool dialled = false;
  const Endpoint* const first = &current();
  const Endpoint* last = first;
  const auto call = [&](const Attempt& attempt) -> base::Status {
    Endpoint& endpoint = attempt.endpoint;
    last = &endpoint;
    if (endpoint.in_process != nullptr)
      return At(endpoint.url, FromGrpc(endpoint.in_process(request, &response)));
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
  STRATA_RETURN_IF_ERROR(Try(get_, *direct_end_, deadline, call, kDirectPatience));
  RangeResult result = Decode(std::move(response));
  result.dialled = dialled;
  result.moved = first != last;
  return result;
}

base::StatusOr<TxnResult> Client::Commit(const Txn& txn, base::MonotonicTime deadline,
                                         Cancellation* cancellation) {
  const etcdserverpb::TxnRequest request = Encode(txn);
  etcdserverpb::TxnResponse response;
  STRATA_RETURN_IF_ERROR(TryGrpc(OnlyReads(txn) ? get_ : txn_, deadline, cancellation,
                                 [&](const Connection& connection, grpc::ClientContext& context) {
                                   return connection.kv->Txn(&context, request, &response);
                                 }));
  return Decode(txn, std::move(response));
}

base::StatusOr<DeleteResult> Client::Delete(const DeleteOptions& options,
                                            base::MonotonicTime deadline,
                                            Cancellation* cancellation) {
  const etcdserverpb::DeleteRangeRequest request = Encode(options);
  etcdserverpb::DeleteRangeResponse response;
  STRATA_RETURN_IF_ERROR(TryGrpc(delete_, deadline, cancellation,
                                 [&](const Connection& connection, grpc::ClientContext& context) {
                                   return connection.kv->DeleteRange(&context, request, &response);
                                 }));
  return Decode(response);
}

base::StatusOr<std::string> Client::Version(base::MonotonicTime deadline,
                                            Cancellation* cancellation) {
  etcdserverpb::StatusResponse response;
  STRATA_RETURN_IF_ERROR(TryGrpc(status_, deadline, cancellation,
                                 [&](const Connection& connection, grpc::ClientContext& context) {
                                   return connection.maintenance->Status(&context, {}, &response);
                                 }));
  return response.version();
}

}  // namespace strata::client

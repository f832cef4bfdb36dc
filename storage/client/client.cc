#include "storage/client/client.h"

#include <absl/synchronization/notification.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "storage/client/call.h"
#include "storage/client/channel.h"
#include "storage/client/convert.h"
#include "storage/client/endpoint.h"

namespace strata::client {

namespace {

// Of one call; whoever asks and whoever is answered share them.
template <typename Request, typename Response>
struct Messages {
  Request request;
  Response response;
};

// What `start` calls back with, for a thread that may wait: as long as the call's deadline.
template <typename Result, typename Start>
base::StatusOr<Result> Await(const Start& start) {
  base::StatusOr<Result> result = base::CancelledError("");
  absl::Notification called;
  start([&](base::StatusOr<Result> one) {
    result = std::move(one);
    called.Notify();
  });
  called.WaitForNotification();
  return result;
}

}  // namespace

// An endpoint that takes longer for a little read may be frozen, or parted from the others.
constexpr std::chrono::milliseconds kLittlePatience(500);

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

Client::CallKind::CallKind(obs::Metrics& metrics, const char* name, bool may_be_repeated, Size size)
    : seconds(metrics.AddHistogram(
          "etcd_request_duration_seconds", "Duration of requests to the storage backend.",
          {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},
          {{"operation", name}})),
      requests(metrics.AddCounter("etcd_requests_total", "Requests to the storage backend.",
                                  {{"operation", name}})),
      errors(metrics.AddCounter("etcd_request_errors_total",
                                "Requests to the storage backend that failed.",
                                {{"operation", name}})),
      repeatable(may_be_repeated),
      patience(size == Size::kLittle ? kLittlePatience : base::MonotonicTime::duration::max()) {}

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
    : callback_threads_(KeepCallbackThreads()),
      options_(options),
      tls_(std::move(tls)),
      endpoints_(std::move(endpoints)),
      get_(metrics, "get", true, CallKind::Size::kLittle),
      list_(metrics, "list", true, CallKind::Size::kAny),
      txn_(metrics, "txn", false, CallKind::Size::kAny),
      delete_(metrics, "delete", false, CallKind::Size::kAny),
      status_(metrics, "status", true, CallKind::Size::kLittle) {}

Client::~Client() {
  absl::MutexLock lock(&calls_mu_);
  for (Call* call : calls_) call->Cancel();
  const auto over = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(calls_mu_) { return calls_.empty(); };
  calls_mu_.Await(absl::Condition(&over));
}

Client::Endpoint& Client::current() const {
  absl::MutexLock lock(&mu_);
  return *endpoints_[current_];
}

void Client::Leave(const Endpoint& failed) {
  absl::MutexLock lock(&mu_);
  if (endpoints_[current_].get() == &failed) current_ = (current_ + 1) % endpoints_.size();
}

std::optional<std::string> Client::KnownToken() {
  if (options_.username.empty()) return std::string();
  absl::MutexLock lock(&mu_);
  return token_.empty() ? std::nullopt : std::optional(token_);
}

void Client::StartToken(Endpoint& endpoint, base::MonotonicTime deadline, CallEnd& end,
                        GotToken then) {
  if (auto known = KnownToken(); known.has_value()) return std::move(then)(*std::move(known));
  const auto messages = std::make_shared<
      Messages<etcdserverpb::AuthenticateRequest, etcdserverpb::AuthenticateResponse>>();
  messages->request.set_name(options_.username);
  messages->request.set_password(options_.password);
  EndpointCall::Start(
      {endpoint, deadline}, /*repeatable=*/true, /*token=*/"",
      [messages](const Connection& connection, grpc::ClientContext& context,
                 EndpointCall::Said said) {
        connection.auth->async()->Authenticate(&context, &messages->request, &messages->response,
                                               std::move(said));
      },
      end,
      [this, messages, then = std::move(then)](const base::Status& status) mutable {
        // "authentication is not enabled": then nobody needs a token.
        if (absl::IsFailedPrecondition(status) && !IsEndpointsFault(status))
          return std::move(then)(std::string());
        if (!status.ok()) return std::move(then)(status);
        if (!IsMetadata(messages->response.token()))
          return std::move(then)(base::UnavailableError("a token came that can't be sent"));
        {
          absl::MutexLock lock(&mu_);
          token_ = messages->response.token();
        }
        std::move(then)(messages->response.token());
      });
}

base::StatusOr<std::string> Client::Token(Endpoint& endpoint, base::MonotonicTime deadline,
                                          CallEnd& end) {
  if (auto known = KnownToken(); known.has_value()) return *std::move(known);
  return Await<std::string>(
      [&](auto done) { StartToken(endpoint, deadline, end, std::move(done)); });
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

void Client::StartRange(const RangeOptions& options, base::MonotonicTime deadline,
                        Cancellation* cancellation, Callback<RangeResult> done) {
  const auto messages =
      std::make_shared<Messages<etcdserverpb::RangeRequest, etcdserverpb::RangeResponse>>();
  messages->request = Encode(options);
  Call::Start(
      *this, options.end.empty() ? get_ : list_, deadline, cancellation,
      [messages, traceparent = options.traceparent](
          const Connection& connection, grpc::ClientContext& context, EndpointCall::Said said) {
        if (!traceparent.empty() && IsMetadata(traceparent))
          context.AddMetadata("traceparent", traceparent);
        connection.kv->async()->Range(&context, &messages->request, &messages->response,
                                      std::move(said));
      },
      [messages, done = std::move(done)](const base::Status& status) mutable {
        if (!status.ok()) return std::move(done)(status);
        std::move(done)(Decode(std::move(messages->response)));
      });
}

base::StatusOr<RangeResult> Client::Range(const RangeOptions& options, base::MonotonicTime deadline,
                                          Cancellation* cancellation) {
  return Await<RangeResult>(
      [&](auto done) { StartRange(options, deadline, cancellation, std::move(done)); });
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
  const auto call = [&](const Attempt& attempt, const std::string& token) -> base::Status {
    Endpoint& endpoint = attempt.endpoint;
    last = &endpoint;
    if (endpoint.in_process != nullptr)
      return At(endpoint.url, FromGrpc(endpoint.in_process(request, &response)));
    const auto interrupt = [&] { endpoint.direct->Interrupt(); };
    return Cancellable(cancellation, interrupt, [&]() -> base::Status {
      const auto answer = endpoint.direct->Call({.path = "/etcdserverpb.KV/Range",
                                                 .message = request.SerializeAsString(),
                                                 .token = token},
                                                attempt.until, attempt.patience);
      if (!answer.ok()) return At(endpoint.url, answer.status());
      if (!response.ParseFromString(*answer))
        return At(endpoint.url, base::InternalError("that is no answer to a Range"));
      dialled = endpoint.direct->TakeDialled();
      return base::OkStatus();
    });
  };
  CallEnd never;  // the token's: direct calls are interrupted otherwise
  Attempts attempts(*this, get_, deadline);
  base::Status status;
  do {
    const Attempt attempt = attempts.Next();
    const auto token = Token(attempt.endpoint, attempt.until, never);
    status = token.ok() ? call(attempt, *token) : token.status();
  } while (!attempts.Over(status));
  STRATA_RETURN_IF_ERROR(status);
  RangeResult result = Decode(std::move(response));
  result.dialled = dialled;
  result.moved = first != last;
  return result;
}

void Client::StartCommit(Txn txn, base::MonotonicTime deadline, Cancellation* cancellation,
                         Callback<TxnResult> done) {
  const auto messages =
      std::make_shared<Messages<etcdserverpb::TxnRequest, etcdserverpb::TxnResponse>>();
  messages->request = Encode(txn);
  const CallKind& kind = OnlyReads(txn) ? get_ : txn_;  // before `txn` is moved from
  Call::Start(
      *this, kind, deadline, cancellation,
      [messages](const Connection& connection, grpc::ClientContext& context,
                 EndpointCall::Said said) {
        connection.kv->async()->Txn(&context, &messages->request, &messages->response,
                                    std::move(said));
      },
      [messages, txn = std::move(txn), done = std::move(done)](const base::Status& status) mutable {
        if (!status.ok()) return std::move(done)(status);
        std::move(done)(Decode(txn, std::move(messages->response)));
      });
}

base::StatusOr<TxnResult> Client::Commit(const Txn& txn, base::MonotonicTime deadline,
                                         Cancellation* cancellation) {
  return Await<TxnResult>(
      [&](auto done) { StartCommit(txn, deadline, cancellation, std::move(done)); });
}

void Client::StartDelete(const DeleteOptions& options, base::MonotonicTime deadline,
                         Cancellation* cancellation, Callback<DeleteResult> done) {
  const auto messages = std::make_shared<
      Messages<etcdserverpb::DeleteRangeRequest, etcdserverpb::DeleteRangeResponse>>();
  messages->request = Encode(options);
  Call::Start(
      *this, delete_, deadline, cancellation,
      [messages](const Connection& connection, grpc::ClientContext& context,
                 EndpointCall::Said said) {
        connection.kv->async()->DeleteRange(&context, &messages->request, &messages->response,
                                            std::move(said));
      },
      [messages, done = std::move(done)](const base::Status& status) mutable {
        if (!status.ok()) return std::move(done)(status);
        std::move(done)(Decode(messages->response));
      });
}

base::StatusOr<DeleteResult> Client::Delete(const DeleteOptions& options,
                                            base::MonotonicTime deadline,
                                            Cancellation* cancellation) {
  return Await<DeleteResult>(
      [&](auto done) { StartDelete(options, deadline, cancellation, std::move(done)); });
}

base::StatusOr<std::string> Client::Version(base::MonotonicTime deadline,
                                            Cancellation* cancellation) {
  const auto messages =
      std::make_shared<Messages<etcdserverpb::StatusRequest, etcdserverpb::StatusResponse>>();
  return Await<std::string>([&](auto done) {
    Call::Start(
        *this, status_, deadline, cancellation,
        [messages](const Connection& connection, grpc::ClientContext& context,
                   EndpointCall::Said said) {
          connection.maintenance->async()->Status(&context, &messages->request, &messages->response,
                                                  std::move(said));
        },
        [messages, done = std::move(done)](const base::Status& status) mutable {
          if (!status.ok()) return done(status);
          done(messages->response.version());
        });
  });
}

}  // namespace strata::client

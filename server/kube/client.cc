#include "server/kube/client.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <map>
#include <random>
#include <utility>

#include "lib/base/build_info.h"
#include "lib/base/bytes.h"
#include "lib/base/file.h"
#include "lib/base/owned.h"
#include "lib/codec/decode_json.h"
#include "lib/x509/peer.h"
#include "lib/x509/system_roots.h"
#include "proto/k8s/meta_v1.pb.h"
#include "server/kube/envelope.h"

namespace strata::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// client-go's webhooks: five attempts (apiserver pkg/util/webhook/webhook.go DefaultRetryBackoff).
constexpr int kAttempts = 5;
constexpr double kFirstDelayMs = 500, kGrowth = 1.5, kJitter = 0.2;
constexpr milliseconds kTokenAge{10'000};
constexpr size_t kMaxTokenBytes = 64 << 10;
constexpr long kTcpKeepaliveSeconds = 5;  // NOLINT(google-runtime-int): libcurl's type
constexpr milliseconds kTcpPatience{15'000};
// Idle ones aren't used after this: when one is found dead, those that died with it are older.
constexpr long kMostIdleSeconds = 10;  // NOLINT(google-runtime-int): libcurl's type
// libcurl (7.88) looks whether an address has had its time a moment too early, and not again: a
// name's next address is tried once it is called for something else, or for this.
constexpr milliseconds kConnectLook{250};
constexpr milliseconds kRootsAge{60'000};
constexpr size_t kMaxCaBytes = 16 << 20;
const std::vector<double> kSeconds = {0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60};

base::StatusCode CodeOf(int status) {
  switch (status) {
    case 401:
      return base::StatusCode::kUnauthenticated;
    case 403:
      return base::StatusCode::kPermissionDenied;
    case 404:
      return base::StatusCode::kNotFound;
    case 410:
      return base::StatusCode::kOutOfRange;
    default:
      return base::StatusCode::kUnavailable;
  }
}

}  // namespace

base::Status ErrorOf(const Response& response) {
  if (response.status >= 200 && response.status < 300) return base::OkStatus();
  // A Status, in whichever form was asked for. What else there may be isn't told: something in
  // between may say what it was sent, tokens too.
  k8s::io::apimachinery::pkg::apis::meta::v1::Status status;
  k8s::io::apimachinery::pkg::runtime::Unknown unknown;
  if (OpenEnvelope(response.body, unknown)) {
    status.ParseFromString(unknown.raw());
  } else if (const auto type = codec::DecodeJson(response.body, status);
             !type.ok() || type->kind != "Status") {
    status.clear_message();
  }
  const std::string what =
      status.message().empty() ? ", and no Status" : ": " + base::Printable(status.message(), 300);
  return base::Error(CodeOf(response.status),
                     fmt::format("kube-apiserver answered {}{}", response.status, what));
}

// One request, or a task of RunAfter, wherever it waits.
struct Client::Transfer {
  Request request;
  Done done;
  Data data;                   // of a stream
  std::function<void()> task;  // of RunAfter
  milliseconds delay{};        // before it starts
  steady_clock::time_point started = steady_clock::now();
  int attempt = 0;
  std::optional<base::Shares::Share> share;  // of what may be in flight

  // Of one attempt.
  CURL* easy = nullptr;
  curl_slist* headers = nullptr;
  // Of the handshake that it made, if it made one.
  x509::PeerRules rules;
  std::shared_ptr<const x509::PeerVerdict> verdict;
  Response response;
  bool too_large = false, ended_by_receiver = false;
  size_t limit = 0;

  ~Transfer() {
    curl_slist_free_all(headers);
    curl_easy_cleanup(easy);
  }
};

// The thread's own: libcurl's handles are touched by nobody else, but for the wake-up.
class Client::Loop {
 public:
  Loop(Client& client, Config config, obs::Metrics& metrics)
      : client_(client), config_(std::move(config)), multi_(curl_multi_init()), metrics_(metrics) {
    curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, 64L);
    Resolve();
  }
  ~Loop() { curl_multi_cleanup(multi_); }

  void Wake() { curl_multi_wakeup(multi_); }

  void Run() {
    while (TakeQueue()) {
      StartDue();
      int running = 0;
      curl_multi_perform(multi_, &running);
      Collect();
      curl_multi_poll(multi_, nullptr, 0, UntilNext(), nullptr);
    }
    for (auto& [easy, transfer] : active_) {
      curl_multi_remove_handle(multi_, easy);
      Finish(*transfer, base::CancelledError("shutting down"));
    }
    active_.clear();
    for (auto& [at, transfer] : waiting_) {
      if (!transfer->task) Finish(*transfer, base::CancelledError("shutting down"));
    }
    waiting_.clear();
  }

 private:
  // A name for TLS other than the server's own is given to libcurl as the host, with the address to
  // connect to beside it.
  void Resolve() {
    base_url_ = config_.server;
    CURLU* url = curl_url();
    char *host = nullptr, *port = nullptr, *out = nullptr;
    curl_url_set(url, CURLUPART_URL, config_.server.c_str(), 0);
    curl_url_get(url, CURLUPART_HOST, &host, 0);
    curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT);
    tls_host_ = !config_.tls_server_name.empty() ? config_.tls_server_name
                : host != nullptr                ? host
                                                 : "";
    if (!config_.tls_server_name.empty() && host != nullptr && port != nullptr) {
      connect_to_ = fmt::format("::{}:{}", host, port);
      host_header_ = fmt::format("Host: {}:{}", host, port);
      curl_url_set(url, CURLUPART_HOST, config_.tls_server_name.c_str(), 0);
      curl_url_get(url, CURLUPART_URL, &out, 0);
      if (out != nullptr) base_url_ = out;
      while (base_url_.ends_with('/')) base_url_.pop_back();
    }
    for (char* text : {host, port, out}) curl_free(text);
    curl_url_cleanup(url);
  }

  bool TakeQueue() {
    std::vector<std::unique_ptr<Transfer>> queue;
    {
      absl::MutexLock lock(&client_.mu_);
      queue.swap(client_.queue_);
      if (client_.stopping_) {
        // They are finished with the others.
        for (auto& transfer : queue) waiting_.emplace(steady_clock::now(), std::move(transfer));
        return false;
      }
    }
    for (auto& transfer : queue) {
      const auto at = steady_clock::now() + transfer->delay;
      waiting_.emplace(at, std::move(transfer));
    }
    return true;
  }

  void StartDue() {
    while (!waiting_.empty() && waiting_.begin()->first <= steady_clock::now()) {
      std::unique_ptr<Transfer> transfer = std::move(waiting_.extract(waiting_.begin()).mapped());
      if (transfer->task) {
        transfer->task();
        continue;
      }
      Start(std::move(transfer));
    }
  }

  int UntilNext() const {
    const auto now = steady_clock::now();
    const milliseconds most = now < connecting_until_ ? kConnectLook : milliseconds(60'000);
    if (waiting_.empty()) return static_cast<int>(most.count());
    const auto left = std::chrono::ceil<milliseconds>(waiting_.begin()->first - now);
    return static_cast<int>(std::clamp<int64_t>(left.count(), 0, most.count()));
  }

  void Start(std::unique_ptr<Transfer> transfer) {
    ++transfer->attempt;
    transfer->response = {};
    transfer->verdict = nullptr;
    transfer->limit = client_.options_.max_response_bytes;
    transfer->easy = curl_easy_init();
    const base::Status ready = Prepare(*transfer);
    if (!ready.ok() || transfer->easy == nullptr) {
      Finish(*transfer, ready.ok() ? base::ResourceExhaustedError("out of memory") : ready);
      return;
    }
    CURL* const easy = transfer->easy;
    connecting_until_ = steady_clock::now() + client_.options_.connect_timeout;
    curl_multi_add_handle(multi_, easy);
    active_.emplace(easy, std::move(transfer));
  }

  base::Status Prepare(Transfer& transfer) {
    CURL* const easy = transfer.easy;
    const Request& request = transfer.request;
    const Options& options = client_.options_;
    curl_easy_setopt(easy, CURLOPT_URL, (base_url_ + request.path).c_str());
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    // A request that is given up closes its connection alone, which HTTP/2 wouldn't.
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    // A name that is resolved on a thread of libcurl's needn't be any more when the transfer ends;
    // it would wait for that thread otherwise, and all transfers with it.
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, kTcpKeepaliveSeconds);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, kTcpKeepaliveSeconds);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, kMostIdleSeconds);
    curl_easy_setopt(easy, CURLOPT_MAXLIFETIME_CONN,
                     static_cast<long>(options.connection_lifetime.count()));  // NOLINT
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     static_cast<long>(options.connect_timeout.count()));  // NOLINT
    curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, &Loop::OnSocket);
    if (transfer.data) {
      curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &Loop::OnHeader);
      curl_easy_setopt(easy, CURLOPT_HEADERDATA, &transfer);
      curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
      curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME,
                       static_cast<long>(request.timeout.count() / 1000 + 1));  // NOLINT
    } else {
      curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS,
                       static_cast<long>(request.timeout.count()));  // NOLINT
    }
    if (!request.body.empty()) {
      curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                       static_cast<curl_off_t>(request.body.size()));
      curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.data());
    }
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &Loop::OnData);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &transfer);
    STRATA_RETURN_IF_ERROR(SetTls(transfer));
    return SetHeaders(transfer);
  }

  // The certificate is judged as client-go's would be: libcurl takes a common name for a host, and
  // OpenSSL has rules of its own.
  base::Status SetTls(Transfer& transfer) {
    CURL* const easy = transfer.easy;
    const auto set = [&](const std::string& file, const std::string& pem, CURLoption file_option,
                         CURLoption pem_option) {
      if (!file.empty()) curl_easy_setopt(easy, file_option, file.c_str());
      if (pem.empty()) return;
      curl_blob blob{const_cast<char*>(pem.data()), pem.size(), CURL_BLOB_NOCOPY};
      curl_easy_setopt(easy, pem_option, &blob);
    };
    set(config_.cert_file, config_.cert_pem, CURLOPT_SSLCERT, CURLOPT_SSLCERT_BLOB);
    set(config_.key_file, config_.key_pem, CURLOPT_SSLKEY, CURLOPT_SSLKEY_BLOB);
    curl_easy_setopt(easy, CURLOPT_CAINFO, static_cast<const char*>(nullptr));
    curl_easy_setopt(easy, CURLOPT_CAPATH, static_cast<const char*>(nullptr));
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    // A session that is resumed isn't judged again.
    curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
    if (config_.insecure_skip_tls_verify || !config_.server.starts_with("https:")) {
      curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
      return base::OkStatus();
    }
    STRATA_ASSIGN_OR_RETURN(transfer.rules.roots, Roots());
    transfer.rules.host = tls_host_;
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, &Loop::OnContext);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, &transfer);
    return base::OkStatus();
  }

  static CURLcode OnContext(CURL*, void* context, void* to) {
    auto& transfer = *static_cast<Transfer*>(to);
    transfer.verdict = x509::JudgePeers(static_cast<SSL_CTX*>(context), transfer.rules);
    return CURLE_OK;
  }

  // Those of before where new ones can't be used.
  base::StatusOr<std::shared_ptr<const x509::Pool>> Roots() {
    const auto now = steady_clock::now();
    if (roots_ != nullptr && now < roots_until_) return roots_;
    auto read = ReadRoots();
    if (!read.ok() && roots_ == nullptr) return read.status();
    if (read.ok()) roots_ = std::make_shared<const x509::Pool>(*std::move(read));
    roots_until_ = now + kRootsAge;
    return roots_;
  }

  base::StatusOr<x509::Pool> ReadRoots() const {
    if (!config_.ca_pem.empty()) {
      auto pool = x509::Pool::ParseUsable(config_.ca_pem);
      if (pool.ok()) return pool;
      return base::Annotate(pool.status(), "certificate-authority-data");
    }
    if (config_.ca_file.empty()) return x509::SystemRoots();
    STRATA_ASSIGN_OR_RETURN(const std::string pem, base::ReadFile(config_.ca_file, kMaxCaBytes));
    auto pool = x509::Pool::ParseUsable(pem);
    if (pool.ok()) return pool;
    return base::Annotate(pool.status(), config_.ca_file);
  }

  base::Status SetHeaders(Transfer& transfer) {
    STRATA_ASSIGN_OR_RETURN(const std::string token, Token());
    const auto add = [&](const std::string& line) {
      transfer.headers = curl_slist_append(transfer.headers, line.c_str());
    };
    curl_slist_free_all(std::exchange(transfer.headers, nullptr));
    if (!connect_to_.empty()) {
      if (connect_list_ == nullptr)
        connect_list_.reset(curl_slist_append(nullptr, connect_to_.c_str()));
      curl_easy_setopt(transfer.easy, CURLOPT_CONNECT_TO, connect_list_.get());
      add(host_header_);
    }
    add("Accept: " + transfer.request.accept);
    if (!transfer.request.traceparent.empty()) add("traceparent: " + transfer.request.traceparent);
    add(fmt::format("User-Agent: strata-apiserver/{}", base::Build().version));
    add("Expect:");
    if (!transfer.request.body.empty()) add("Content-Type: " + transfer.request.content_type);
    if (!token.empty()) {
      add("Authorization: Bearer " + token);
    } else if (!config_.username.empty()) {
      curl_easy_setopt(transfer.easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
      curl_easy_setopt(transfer.easy, CURLOPT_USERNAME, config_.username.c_str());
      curl_easy_setopt(transfer.easy, CURLOPT_PASSWORD, config_.password.c_str());
    }
    curl_easy_setopt(transfer.easy, CURLOPT_HTTPHEADER, transfer.headers);
    return base::OkStatus();
  }

  base::StatusOr<std::string> Token() {
    if (config_.token_file.empty()) return config_.token;
    const auto now = steady_clock::now();
    if (!token_.empty() && now < token_until_) return token_;
    auto read = base::ReadFile(config_.token_file, kMaxTokenBytes);
    // While the file is written or replaced it may be absent or empty: the last one counts on.
    const std::string_view token = read.ok() ? TrimToken(*read) : "";
    if (!token.empty()) {
      token_ = token;
    } else if (token_.empty()) {
      if (!read.ok()) return read.status();
      return base::InvalidArgumentError(config_.token_file + ": it is empty");
    }
    token_until_ = now + kTokenAge;
    return token_;
  }

  // What was sent and isn't acknowledged, probes of an idle connection too, ends it: a watch whose
  // packets are lost tells nothing, and that is all that can be seen of it.
  static int OnSocket(void*, curl_socket_t socket, curlsocktype) {
    const auto patience = static_cast<unsigned>(kTcpPatience.count());
    setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof patience);
    return CURL_SOCKOPT_OK;
  }

  static bool Give(Transfer& transfer, std::string_view bytes) {
    const bool goes_on = transfer.data(bytes);
    if (!goes_on) transfer.ended_by_receiver = true;
    return goes_on;
  }

  static size_t OnHeader(char* bytes, size_t, size_t size, void* to) {
    auto& transfer = *static_cast<Transfer*>(to);
    long status = 0;  // NOLINT(google-runtime-int)
    curl_easy_getinfo(transfer.easy, CURLINFO_RESPONSE_CODE, &status);
    if (std::string_view(bytes, size) != "\r\n" || status != 200) return size;
    return Give(transfer, {}) ? size : 0;
  }

  static size_t OnData(char* bytes, size_t, size_t size, void* to) {
    auto& transfer = *static_cast<Transfer*>(to);
    long status = 0;  // NOLINT(google-runtime-int)
    curl_easy_getinfo(transfer.easy, CURLINFO_RESPONSE_CODE, &status);
    if (transfer.data && status == 200) return Give(transfer, {bytes, size}) ? size : 0;
    if (transfer.response.body.size() + size > transfer.limit) {
      transfer.too_large = true;
      return 0;
    }
    transfer.response.body.append(bytes, size);
    return size;
  }

  void Collect() {
    int left = 0;
    while (CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      CURL* const easy = message->easy_handle;
      const CURLcode code = message->data.result;
      std::unique_ptr<Transfer> transfer = std::move(active_.extract(easy).mapped());
      curl_multi_remove_handle(multi_, easy);
      Judge(std::move(transfer), code);
    }
  }

  void Judge(std::unique_ptr<Transfer> transfer, CURLcode code) {
    long status = 0;  // NOLINT(google-runtime-int)
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_off_t retry_after = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_RETRY_AFTER, &retry_after);
    Observe(*transfer, code, status);
    transfer->response.status = static_cast<int>(status);
    const bool answered = code == CURLE_OK || transfer->ended_by_receiver;
    if (transfer->request.retry && Retriable(code, status, retry_after) &&
        Again(transfer, retry_after))
      return;
    if (answered) return Finish(*transfer, std::move(transfer->response));
    if (transfer->too_large) {
      return Finish(*transfer,
                    base::ResourceExhaustedError(fmt::format("{}: an answer of more than {} bytes",
                                                             config_.server, transfer->limit)));
    }
    const bool judged = transfer->verdict != nullptr && !transfer->verdict->status.ok();
    const std::string_view why =
        judged ? base::Message(transfer->verdict->status) : curl_easy_strerror(code);
    Finish(*transfer,
           base::Error(code == CURLE_OPERATION_TIMEDOUT ? base::StatusCode::kDeadlineExceeded
                                                        : base::StatusCode::kUnavailable,
                       fmt::format("{}: {}", config_.server, why)));
  }

  static bool Retriable(CURLcode code, long status, curl_off_t retry_after) {  // NOLINT
    if (code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR || code == CURLE_GOT_NOTHING)
      return true;
    if (code != CURLE_OK) return false;
    return status == 429 || status == 500 || status == 504 || (status >= 400 && retry_after > 0);
  }

  // Queues another attempt, if there is time for one.
  bool Again(std::unique_ptr<Transfer>& transfer, curl_off_t retry_after) {
    if (transfer->attempt >= kAttempts) return false;
    double ms = kFirstDelayMs;
    for (int i = 1; i < transfer->attempt; ++i) ms *= kGrowth;
    ms *= 1 + std::uniform_real_distribution<double>(0, kJitter)(random_);
    ms = std::max(ms, static_cast<double>(std::min<curl_off_t>(retry_after, 60)) * 1000);
    const auto at = steady_clock::now() + milliseconds(static_cast<int64_t>(ms));
    if (at > transfer->started + client_.options_.retry_limit) return false;
    curl_easy_cleanup(std::exchange(transfer->easy, nullptr));
    waiting_.emplace(at, std::move(transfer));
    return true;
  }

  void Observe(const Transfer& transfer, CURLcode code, long status) {  // NOLINT
    const std::string result = code == CURLE_OK ? std::to_string(status) : "<error>";
    metrics_
        .AddCounter("rest_client_requests_total", "Requests to kube-apiserver.",
                    {{"code", result}, {"method", transfer.request.method}})
        .Increment();
    if (transfer.data) return;
    double seconds = 0;
    curl_easy_getinfo(transfer.easy, CURLINFO_TOTAL_TIME, &seconds);
    metrics_
        .AddHistogram("rest_client_request_duration_seconds",
                      "Duration of requests to kube-apiserver.", kSeconds,
                      {{"verb", transfer.request.method}})
        .Observe(seconds);
  }

  void Finish(Transfer& transfer, base::StatusOr<Response> result) {
    transfer.share.reset();
    transfer.done(std::move(result));
  }

  Client& client_;
  const Config config_;
  CURLM* const multi_;
  obs::Metrics& metrics_;
  std::string base_url_, connect_to_, host_header_;
  std::string tls_host_;  // that its certificate has to be for
  std::shared_ptr<const x509::Pool> roots_;
  steady_clock::time_point roots_until_;
  base::Owned<curl_slist, curl_slist_free_all> connect_list_;
  std::map<CURL*, std::unique_ptr<Transfer>> active_;
  std::multimap<steady_clock::time_point, std::unique_ptr<Transfer>> waiting_;
  steady_clock::time_point connecting_until_;  // at most, whoever does
  std::string token_;
  steady_clock::time_point token_until_;
  std::minstd_rand random_{std::random_device()()};
};

base::StatusOr<std::shared_ptr<Client>> Client::Connect(const std::string& kubeconfig,
                                                        const Options& options,
                                                        obs::Metrics& metrics) {
  auto config = kubeconfig.empty() ? InClusterConfig() : LoadKubeconfig(kubeconfig);
  if (kubeconfig.empty() && config.status().code() == base::StatusCode::kNotFound)
    return std::shared_ptr<Client>();
  if (!config.ok()) return config.status();
  return std::make_shared<Client>(*std::move(config), options, metrics);
}

Client::Client(Config config, const Options& options, obs::Metrics& metrics)
    : options_(options),
      in_flight_(static_cast<int64_t>(options.max_in_flight)),
      loop_(std::make_unique<Loop>(*this, std::move(config), metrics)) {
  metrics.AddGaugeFunction("strata_kube_requests_in_flight",
                           "Requests to kube-apiserver that aren't answered yet, watches too.",
                           {{"for", options.name}},
                           [this] { return static_cast<double>(in_flight_.taken()); });
  thread_ = std::thread([this] { loop_->Run(); });
}

Client::~Client() {
  Stop();
}

void Client::Stop() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  loop_->Wake();
  if (thread_.joinable()) thread_.join();
}

void Client::Enqueue(std::unique_ptr<Transfer> transfer) {
  const Done done = transfer->done;
  if (!transfer->task) {
    using Claim = base::Shares::Claim;
    const std::string& user = transfer->request.on_behalf_of;
    transfer->share = in_flight_.Take(user, user.empty() ? Claim::kExempt : Claim::kFair);
    if (!transfer->share)
      return done(
          base::ResourceExhaustedError("too many requests to kube-apiserver are in flight"));
  }
  {
    absl::MutexLock lock(&mu_);
    if (!stopping_) queue_.push_back(std::move(transfer));
  }
  if (transfer == nullptr) return loop_->Wake();
  if (done) done(base::CancelledError("shutting down"));
}

void Client::Send(Request request, Done done) {
  auto transfer = std::make_unique<Transfer>();
  transfer->request = std::move(request);
  transfer->done = std::move(done);
  Enqueue(std::move(transfer));
}

void Client::Stream(Request request, Data data, Done done) {
  auto transfer = std::make_unique<Transfer>();
  transfer->request = std::move(request);
  transfer->data = std::move(data);
  transfer->done = std::move(done);
  Enqueue(std::move(transfer));
}

void Client::RunAfter(std::chrono::milliseconds delay, std::function<void()> task) {
  auto transfer = std::make_unique<Transfer>();
  transfer->task = std::move(task);
  transfer->delay = delay;
  Enqueue(std::move(transfer));
}

}  // namespace strata::kube

#include "storage/serve/monitoring.h"

#include <fmt/format.h>
#include <microhttpd.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <deque>
#include <string_view>

#include "lib/base/owned.h"
#include "storage/rpc/maintenance.h"

namespace strata::serve {
namespace {

constexpr unsigned kMaxConnections = 64;
// With those that are closed and not yet gone.
constexpr unsigned kMostWithEnding = 2 * kMaxConnections;
constexpr unsigned kTimeoutSeconds = 10;
constexpr size_t kConnectionBytes = 32 << 10;

constexpr std::string_view kLivez = "/livez";
constexpr std::string_view kReadyz = "/readyz";

struct Check {
  const char* name;
  base::Status status;
};

Monitoring::Answer NotFound() {
  return {404, "text/plain; charset=utf-8", "404 page not found\n"};
}

// etcd server/etcdserver/api/etcdhttp/health.go.
std::vector<Check> ChecksOf(const engine::Store& store, bool live_only) {
  std::vector<Check> checks;
  if (!live_only) {
    checks.push_back({"data_corruption", store.has_alarm(engine::Alarm::kCorrupt)
                                             ? base::UnavailableError("alarm activated: CORRUPT")
                                             : base::OkStatus()});
    checks.push_back({"linearizable_read", store.failure()});
    checks.push_back({"non_learner", base::OkStatus()});
  }
  checks.push_back({"serializable_read", store.Range({.key = "health"}).status()});
  return checks;
}

// `name` is that of one check, or empty: all that aren't excluded.
Monitoring::Answer AnswerChecks(std::vector<Check> checks, std::string_view name,
                                const Monitoring::Query& query) {
  std::erase_if(checks, [&](const Check& check) {
    return name.empty() ? query.exclude.contains(check.name) : check.name != name;
  });
  if (checks.empty() && !name.empty()) return NotFound();
  Monitoring::Answer answer;
  for (const Check& check : checks) {
    if (!check.status.ok()) answer.status = 503;
  }
  if (query.verbose || answer.status != 200) {
    for (const Check& check : checks) {
      answer.body += check.status.ok() ? fmt::format("[+]{} ok\n", check.name)
                                       : fmt::format("[-]{} failed: {}\n", check.name,
                                                     base::Message(check.status));
    }
  }
  answer.body += answer.status == 200 ? "ok\n" : "failed\n";
  return answer;
}

// Within a string of JSON. Paths may hold anything.
std::string Quoted(std::string text) {
  for (char& c : text) {
    if (c == '"' || c == '\\' || static_cast<unsigned char>(c) < ' ') c = '?';
  }
  return text;
}

// A full disk is what etcd's NOSPACE is for a probe: a restart makes no room.
Monitoring::Answer AnswerHealth(const engine::Store& store, const std::set<std::string>& exclude) {
  std::string reason;
  if (!exclude.contains("NOSPACE")) {
    if (const base::Status room = store.room(); !room.ok())
      reason = "NO SPACE:" + Quoted(std::string(base::Message(room)));
    if (store.has_alarm(engine::Alarm::kNoSpace)) reason = "ALARM NOSPACE";
  }
  if (store.has_alarm(engine::Alarm::kCorrupt) && !exclude.contains("CORRUPT"))
    reason = "ALARM CORRUPT";
  if (!store.failure().ok()) {
    reason = "RANGE ERROR:" + Quoted(std::string(base::Message(store.failure())));
  }
  return {reason.empty() ? 200U : 503U, "application/json",
          fmt::format(R"({{"health":"{}","reason":"{}"}})", reason.empty(), reason)};
}

MHD_Result Send(MHD_Connection* connection, const Monitoring::Answer& answer) {
  MHD_Response* response = MHD_create_response_from_buffer(
      answer.body.size(), const_cast<char*>(answer.body.data()),  // NOLINT: it is copied
      MHD_RESPMEM_MUST_COPY);
  if (response == nullptr) return MHD_NO;
  MHD_add_response_header(response, "Content-Type", answer.content_type);
  MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
  if (answer.status == 405) MHD_add_response_header(response, "Allow", "GET");
  const MHD_Result sent = MHD_queue_response(connection, answer.status, response);
  MHD_destroy_response(response);
  return sent;
}

MHD_Result NoteArgument(void* query, MHD_ValueKind /*kind*/, const char* name, const char* value) {
  auto& [verbose, exclude] = *static_cast<Monitoring::Query*>(query);
  if (name == std::string_view("verbose")) verbose = true;
  if (name == std::string_view("exclude") && value != nullptr) exclude.insert(value);
  return MHD_YES;
}

MHD_Result Serve(void* self, MHD_Connection* connection, const char* url, const char* method,
                 const char* /*version*/, const char* /*upload*/, size_t* upload_size,
                 void** /*state*/) {
  if (*upload_size > 0) {
    *upload_size = 0;  // nobody wants it
    return MHD_YES;
  }
  const std::string_view asked = method;
  if (asked != "GET" && asked != "HEAD")
    return Send(connection, {405, "text/plain; charset=utf-8", "Method Not Allowed\n"});
  Monitoring::Query query;
  MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, &NoteArgument, &query);
  return Send(connection, static_cast<const Monitoring*>(self)->AnswerTo(url, query));
}

}  // namespace

// Its daemon's thread's alone.
struct Monitoring::Crowd {
  std::atomic<unsigned>* adopted = nullptr;  // null: the daemon accepts them itself
  std::deque<MHD_Connection*> by_age{};      // without those that gave way

  static void Note(void* crowd, MHD_Connection* connection, void** /*context*/,
                   MHD_ConnectionNotificationCode code) {
    auto& [adopted, by_age] = *static_cast<Crowd*>(crowd);
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
      std::erase(by_age, connection);
      if (adopted != nullptr) --*adopted;
      return;
    }
    by_age.push_back(connection);
    if (by_age.size() <= kMaxConnections) return;
    // libmicrohttpd has no call that ends one; it finds that its client has.
    shutdown(MHD_get_connection_info(by_age.front(), MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd,
             SHUT_RDWR);
    by_age.pop_front();
  }
};

Monitoring::Monitoring(const engine::Store& store, const obs::Metrics& metrics)
    : store_(store), metrics_(metrics) {}

Monitoring::Answer Monitoring::AnswerTo(std::string_view path, const Query& query) const {
  if (path == "/metrics") return {200, "text/plain; version=0.0.4; charset=utf-8", metrics_.Text()};
  if (path == "/health") return AnswerHealth(store_, query.exclude);
  for (const std::string_view root : {kLivez, kReadyz}) {
    if (!path.starts_with(root)) continue;
    const std::string_view rest = path.substr(root.size());
    if (!rest.empty() && (rest[0] != '/' || rest.size() == 1)) continue;
    return AnswerChecks(ChecksOf(store_, /*live_only=*/root == kLivez),
                        rest.empty() ? rest : rest.substr(1), query);
  }
  if (path == "/version") {
    return {200, "application/json",
            fmt::format(R"({{"etcdserver":"{}","etcdcluster":"{}","storage":"{}"}})",
                        rpc::kApiVersion, rpc::kStorageVersion, rpc::kStorageVersion)};
  }
  return NotFound();
}

base::StatusOr<std::unique_ptr<Monitoring>> Monitoring::Start(const std::vector<std::string>& urls,
                                                              const engine::Store& store,
                                                              const obs::Metrics& metrics) {
  std::unique_ptr<Monitoring> started(new Monitoring(store, metrics));
  STRATA_RETURN_IF_ERROR(started->StartAdopting());
  for (const std::string& url : urls)
    STRATA_RETURN_IF_ERROR(base::Annotate(started->Listen(url), url));
  return started;
}

// libmicrohttpd 0.9.75 stops for ever, holding a lock of its own, when one more is added than its
// limit. So we count, and its limit is never reached.
base::Status Monitoring::StartAdopting() {
  crowds_.push_back(std::make_unique<Crowd>(Crowd{.adopted = &adopted_}));
  adopting_ = MHD_start_daemon(
      MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ITC, 0,
      nullptr, nullptr, &Serve, this, MHD_OPTION_NOTIFY_CONNECTION, &Crowd::Note,
      crowds_.back().get(), MHD_OPTION_CONNECTION_LIMIT, 2 * kMostWithEnding,
      MHD_OPTION_CONNECTION_TIMEOUT, kTimeoutSeconds, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
      kConnectionBytes, MHD_OPTION_END);
  if (adopting_ == nullptr) return base::InternalError("the HTTP server doesn't start");
  daemons_.push_back(adopting_);
  return base::OkStatus();
}

void Monitoring::Adopt(int socket, const sockaddr* peer, socklen_t size) const {
  if (++adopted_ > kMostWithEnding) {
    --adopted_;
    close(socket);
  } else if (MHD_add_connection(adopting_, socket, peer, size) != MHD_YES) {
    --adopted_;  // it has closed it
  }
}

base::Status Monitoring::Listen(const std::string& url) {
  constexpr std::string_view kHttp = "http://";
  std::string_view rest = url;
  const size_t colon = rest.rfind(':');
  if (!rest.starts_with(kHttp) || colon <= kHttp.size())
    return base::InvalidArgumentError("no URL to listen on: http://HOST:PORT");
  std::string host(rest.substr(kHttp.size(), colon - kHttp.size()));
  const std::string port(rest.substr(colon + 1));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);

  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  if (const int code = getaddrinfo(host.c_str(), port.c_str(), &hints, &list); code != 0)
    return base::InvalidArgumentError(gai_strerror(code));
  const base::Owned<addrinfo, freeaddrinfo> address(list);

  unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL;
  if (address->ai_family == AF_INET6) flags |= MHD_USE_IPv6;
  crowds_.push_back(std::make_unique<Crowd>());
  errno = 0;
  MHD_Daemon* daemon = MHD_start_daemon(
      flags, 0, nullptr, nullptr, &Serve, this, MHD_OPTION_SOCK_ADDR, address->ai_addr,
      MHD_OPTION_NOTIFY_CONNECTION, &Crowd::Note, crowds_.back().get(), MHD_OPTION_CONNECTION_LIMIT,
      kMostWithEnding, MHD_OPTION_CONNECTION_TIMEOUT, kTimeoutSeconds,
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, kConnectionBytes, MHD_OPTION_END);
  if (daemon == nullptr) {
    return base::UnavailableError(
        fmt::format("can't listen: {}", errno != 0 ? std::strerror(errno) : "refused"));
  }
  daemons_.push_back(daemon);
  const auto* bound = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
  urls_.push_back(fmt::format("{}:{}", url.substr(0, colon), bound->port));
  return base::OkStatus();
}

Monitoring::~Monitoring() {
  for (MHD_Daemon* daemon : daemons_) MHD_stop_daemon(daemon);
}

}  // namespace strata::serve

#include "storage/client/channel.h"

#include <fmt/format.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "base/bytes.h"

namespace strata::client {
namespace {

base::StatusOr<std::string> ReadFile(const char* flag, const std::string& path) {
  if (path.empty()) return std::string();
  std::ifstream file(path, std::ios::binary);
  if (!file) return base::InvalidArgumentError(fmt::format("{}: cannot read {}", flag, path));
  return std::string(std::istreambuf_iterator<char>(file), {});
}

base::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> TlsCredentials(const Options& options) {
  grpc::SslCredentialsOptions tls;
  STRATA_ASSIGN_OR_RETURN(tls.pem_root_certs, ReadFile("--etcd-cafile", options.ca_file));
  STRATA_ASSIGN_OR_RETURN(tls.pem_cert_chain, ReadFile("--etcd-certfile", options.cert_file));
  STRATA_ASSIGN_OR_RETURN(tls.pem_private_key, ReadFile("--etcd-keyfile", options.key_file));
  if (tls.pem_cert_chain.empty() != tls.pem_private_key.empty()) {
    return base::InvalidArgumentError("--etcd-certfile and --etcd-keyfile go together");
  }
  return grpc::SslCredentials(tls);
}

constexpr std::chrono::milliseconds kConnectionPatience{250};
// A deadline further away than this would overflow as a wall time.
constexpr std::chrono::hours kLongest{24};

}  // namespace

std::chrono::system_clock::time_point WallDeadline(base::MonotonicTime deadline) {
  using std::chrono::steady_clock;
  using std::chrono::system_clock;
  const auto left = std::min<steady_clock::duration>(deadline - steady_clock::now(), kLongest);
  return system_clock::now() + std::chrono::duration_cast<system_clock::duration>(left);
}

void Client::Endpoint::AwaitConnection(base::MonotonicTime deadline) const {
  if (dialled == nullptr || dialled->GetState(/*try_to_connect=*/true) == GRPC_CHANNEL_READY)
    return;
  dialled->WaitForConnected(
      WallDeadline(std::min(deadline, std::chrono::steady_clock::now() + kConnectionPatience)));
}

base::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const std::string& url,
                                                           const Options& options) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(options.max_receive_bytes);
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, static_cast<int>(options.keepalive_time.count()));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                   static_cast<int>(options.keepalive_timeout.count()));
  // etcd counts pings of a connection without calls as abuse; the watch is a call.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // Against its name this is how long one attempt may take, until the server's SETTINGS are here.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS,
                   static_cast<int>(options.dial_timeout.count()));
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  // Endpoints are dialled anew each: channels to one address must not share a dead connection.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  const auto rest = [&](std::string_view scheme) { return url.substr(scheme.size()); };
  if (url.starts_with("http://") && url.size() > 7) {
    return grpc::CreateCustomChannel(rest("http://"), grpc::InsecureChannelCredentials(),
                                     arguments);
  }
  if (url.starts_with("https://") && url.size() > 8) {
    STRATA_ASSIGN_OR_RETURN(const auto credentials, TlsCredentials(options));
    return grpc::CreateCustomChannel(rest("https://"), credentials, arguments);
  }
  if (url.starts_with("unix://")) {
    return grpc::CreateCustomChannel("unix:" + rest("unix://"), grpc::InsecureChannelCredentials(),
                                     arguments);
  }
  return base::InvalidArgumentError(fmt::format(
      "--etcd-servers: \"{}\" isn't a URL like https://HOST:2379", base::Printable(url, 200)));
}

bool IsTokensFault(const base::Status& status) {
  return status.code() == base::StatusCode::kUnauthenticated ||
         base::Message(status).find("revision of auth store is old") != std::string_view::npos;
}

base::Status At(const std::string& url, const base::Status& error) {
  return base::Error(error.code(),
                     fmt::format("etcd {}: {}", url, base::Printable(base::Message(error), 300)));
}

base::Status FromGrpc(const grpc::Status& status, const std::string& url) {
  if (status.ok()) return base::OkStatus();
  return At(
      url, base::Error(static_cast<base::StatusCode>(status.error_code()), status.error_message()));
}

}  // namespace strata::client

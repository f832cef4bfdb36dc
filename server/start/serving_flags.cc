#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "lib/base/ascii.h"
#include "server/start/flag_groups.h"
#include "storage/command_line/duration_flag.h"

namespace strata::start {
namespace {

using command_line::AddDuration;
using command_line::Zero;

void AddListening(CLI::App& group, Flags& flags) {
  group
      .add_option("--bind-address", flags.bind_address,
                  "IP address to listen on; 0.0.0.0 or :: for all")
      ->capture_default_str();
  group
      .add_option("--secure-port", flags.secure_port,
                  "Port to serve HTTPS on; 0 chooses a free one")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  AddFile(group, "--tls-cert-file", flags.tls.cert_file,
          "Serving certificate with its chain, PEM; read again when it changes");
  AddFile(group, "--tls-private-key-file", flags.tls.key_file, "Its key, PEM");
  group
      .add_option("--cert-dir", flags.tls.cert_dir,
                  "Where a self-signed pair is kept when no certificate is given")
      ->type_name("DIR")
      ->capture_default_str();
  group.add_option("--tls-min-version", flags.tls.min_version, "Lowest TLS version")
      ->check(CLI::IsMember({"VersionTLS12", "VersionTLS13"}))
      ->capture_default_str();
  group
      .add_option("--tls-cipher-suites", flags.tls.cipher_suites,
                  "TLS 1.2 cipher suites, IANA names")
      ->delimiter(',');
  group
      .add_option("--tls-sni-cert-key", flags.sni_pairs,
                  "Another pair, for clients that ask for its names: CERTIFICATE,KEY, or "
                  "CERTIFICATE,KEY:NAME,… where a name may begin with *.; may be repeated")
      ->type_name("FILE,FILE[:NAME,...]");
  AddSwitch(group, "--disable-http2-serving", flags.disable_http2, "Serve HTTP/1.1 only");
  AddSwitch(group, "--permit-port-sharing", flags.server.reuse_port, "Listen with SO_REUSEPORT");
}

void AddBoundsOfRequests(CLI::App& group, Flags& flags) {
  group
      .add_option("--goaway-chance", flags.chain.goaway_chance,
                  "Chance of an HTTP/2 request to end its connection once it is answered, for "
                  "balancers of connections to spread clients anew")
      ->check(CLI::Range(0.0, 0.02))
      ->capture_default_str();
  group
      .add_option("--http2-max-streams-per-connection", flags.session.max_concurrent_streams,
                  "Streams that one HTTP/2 connection may have")
      ->check(CLI::Range(1u, 100'000u))
      ->capture_default_str();
  group
      .add_option("--max-requests-inflight", flags.chain.in_flight.max_requests,
                  "Requests served at a time, three quarters of them one user's; more get 429. "
                  "0: no limit")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  group
      .add_option("--max-revision-waiters", flags.chain.in_flight.max_revision_waiters,
                  "Requests that may wait for a resourceVersion which hasn't come, three quarters "
                  "of them one user's; more get 429. 0: no limit")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  group
      .add_option("--max-watches", flags.chain.in_flight.max_watches,
                  "Watches that are open, three quarters of them one user's; more get 429. 0: no "
                  "limit")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  AddDuration(group, "--request-timeout", flags.chain.request_timeout,
              "Longest time for one request");
  group
      .add_option_function<int64_t>(
          "--min-request-timeout",
          [&flags](int64_t seconds) {
            flags.objects.watching.min_request_timeout = std::chrono::seconds(seconds);
          },
          "Seconds after which a watch that names no timeout may end; at random up to twice as "
          "much")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30))
      ->default_str("1800");
  AddDuration(group, "--shutdown-delay-duration", flags.shutdown_delay,
              "How long it is served on after SIGTERM, unready, for balancers to notice",
              Zero::kAllowed);
}

void AddBoundsOfConnections(CLI::App& group, Flags& flags) {
  group
      .add_option("--memory-limit-bytes", flags.memory.limit,
                  "Memory that the server may take; from four fifths of it on nothing that clients "
                  "share grows beyond a sixteenth of its bound, and idle connections are closed. "
                  "0: what its control group or the machine allows")
      ->check(CLI::Range(size_t{0}, size_t{1} << 50))
      ->capture_default_str();
  group
      .add_option("--max-connections", flags.server.max_connections.most(),
                  "Connections open at a time")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  group
      .add_option(
          "--reserved-connections", flags.server.reserved_connections,
          "So many more for proxies, whose certificate the proxies' CA has signed, and half of "
          "them for clients whose certificate the client CA has")
      ->check(CLI::Range(size_t{1}, size_t{10'000}))
      ->capture_default_str();
  group
      .add_option("--max-header-bytes", flags.session.max_header_bytes,
                  "Bytes of one request's headers; more get 431")
      ->check(CLI::Range(size_t{1024}, size_t{1} << 20))
      ->capture_default_str();
  group
      .add_option("--max-held-bytes-per-connection", flags.session.max_held_bytes,
                  "Bytes of unanswered requests that one connection may make us hold")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  AddBytes(group, "--max-held-request-bytes", flags.session.max_held_bytes_in_all.most(),
           "The same of all connections together; more requests get 429");
  AddBytes(group, "--max-unread-response-bytes", flags.max_unread_response_bytes.most(),
           "Bytes of answers that clients of all connections haven't read yet, three quarters "
           "of them one user's; over it the slowest reader is given up and new answers are "
           "429");
  group
      .add_option("--min-read-rate", flags.session.min_read_rate,
                  "Bytes a second that a client has to take of an answer, over "
                  "--read-stall-timeout, or its stream is reset; 0: something")
      ->check(CLI::Range(0u, 1u << 30))
      ->capture_default_str();
  AddDuration(group, "--read-stall-timeout", flags.session.stall_timeout,
              "The time over which that is measured");
  AddDuration(group, "--idle-timeout", flags.session.idle_timeout,
              "Connections without a request are closed after this time");
  AddDuration(group, "--read-header-timeout", flags.session.header_timeout,
              "Longest time for the headers of a request");
}

void AddThreads(CLI::App& group, Flags& flags) {
  group
      .add_option("--io-threads", flags.server.io_threads,
                  "Threads for connections; 0: one for each CPU")
      ->check(CLI::Range(0, 256))
      ->capture_default_str();
  group.add_option("--worker-threads", flags.workers.threads, "Threads that build large answers")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  group
      .add_option("--worker-queue", flags.workers.max_queued,
                  "Builds that may wait for a thread, half of them one user's; more get 429")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  group
      .add_option("--worker-queue-bytes", flags.workers.max_bytes.most(),
                  "Estimated bytes of answers that are built or wait for it; more get 429")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  group
      .add_option("--list-threads", flags.listers.threads,
                  "Threads that read and encode lists, and what watches are behind with")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  group
      .add_option("--list-queue", flags.listers.max_queued,
                  "Tasks that may wait for them, half of them one user's: one for each list or "
                  "watch; more lists get 429, and more watches end")
      ->check(CLI::Range(size_t{1}, size_t{1} << 24))
      ->capture_default_str();
  group
      .add_option("--read-threads", flags.readers.threads, "Whole records that are read at a time")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  group
      .add_option("--read-queue", flags.readers.max_queued,
                  "Such reads that may wait for a thread; more get 429")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

base::StatusOr<net::NamedPair> ParseNamedPair(const std::string& text) {
  const auto trimmed = [](std::string_view part) { return std::string(base::Trim(part)); };
  const size_t colon = std::min(text.find(':'), text.size());
  const size_t comma = text.find(',');
  net::NamedPair pair;
  if (comma < colon) {
    pair.cert_file = trimmed(std::string_view(text).substr(0, comma));
    pair.key_file = trimmed(std::string_view(text).substr(comma + 1, colon - comma - 1));
  }
  if (pair.cert_file.empty() || pair.key_file.empty() ||
      pair.key_file.find(',') != std::string::npos) {
    return base::InvalidArgumentError(fmt::format(
        "--tls-sni-cert-key: CERTIFICATE,KEY or CERTIFICATE,KEY:NAME,… is expected, not {}", text));
  }
  for (size_t at = colon; at < text.size();) {
    const size_t end = std::min(text.find(',', at + 1), text.size());
    pair.names.push_back(trimmed(std::string_view(text).substr(at + 1, end - at - 1)));
    if (pair.names.back().empty())
      return base::InvalidArgumentError("--tls-sni-cert-key: a name is empty: " + text);
    at = end;
  }
  return pair;
}

}  // namespace

void AddServingFlags(CLI::App& app, Flags& flags) {
  CLI::App& group = *app.add_option_group("Secure serving");
  AddListening(group, flags);
  AddBoundsOfRequests(group, flags);
  AddBoundsOfConnections(group, flags);
  AddThreads(group, flags);
  group
      .add_option("--internal-registry-hostname", flags.registry.internal,
                  "Where pods reach the registry; shown in status.dockerImageRepository")
      ->type_name("HOST[:PORT]");
  group
      .add_option("--external-registry-hostname", flags.registry.external,
                  "Where others do; shown in status.publicDockerImageRepository")
      ->type_name("HOST[:PORT]");
  AddDuration(group, "--file-poll-interval", flags.files.poll_interval,
              "How often certificates, tokens and roles are looked at for changes");
}

base::Status CompleteServing(Flags& flags) {
  if (flags.tls.cert_file.empty() != flags.tls.key_file.empty()) {
    return base::InvalidArgumentError("--tls-cert-file and --tls-private-key-file go together");
  }
  for (const std::string& text : flags.sni_pairs) {
    STRATA_ASSIGN_OR_RETURN(net::NamedPair pair, ParseNamedPair(text));
    flags.tls.named_pairs.push_back(std::move(pair));
  }
  flags.tls.http2 = !flags.disable_http2;
  // A connection of HTTP/1.1, or the socket below streams of HTTP/2, as a stream.
  flags.server.connection.min_read_rate = flags.session.min_read_rate;
  flags.server.connection.write_timeout = flags.session.stall_timeout;
  return base::OkStatus();
}

}  // namespace strata::start

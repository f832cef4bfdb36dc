// What operators look at: /health, /livez, /readyz, /version and /metrics over plain HTTP, as etcd
// answers them under --listen-metrics-urls, and where clients connect without TLS.
#pragma once

#include <sys/socket.h>

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/obs/metrics.h"
#include "storage/engine/store.h"

struct MHD_Daemon;

namespace strata::serve {

// Answers on a thread of its own for each address, as long as it lives. Each has 64 connections at
// a time, for ten seconds of silence, and the oldest gives way to who comes then: a probe takes
// milliseconds, and who says a byte now and then would stay for ever.
class Monitoring {
 public:
  // `urls` are http://HOST:PORT. The error names the URL.
  static base::StatusOr<std::unique_ptr<Monitoring>> Start(const std::vector<std::string>& urls,
                                                           const engine::Store& store,
                                                           const obs::Metrics& metrics);
  ~Monitoring();

  // Serves a connection that somebody else accepted, and owns its socket. Thread-safe.
  void Adopt(int socket, const sockaddr* peer, socklen_t size) const;

  // With the ports that were chosen.
  const std::vector<std::string>& urls() const { return urls_; }

  struct Answer {
    unsigned status = 200;
    const char* content_type = "text/plain; charset=utf-8";
    std::string body;
  };
  struct Query {
    bool verbose = false;           // each check by itself
    std::set<std::string> exclude;  // alarms of /health, checks of the others, that don't count
  };
  Answer AnswerTo(std::string_view path, const Query& query) const;

 private:
  Monitoring(const engine::Store& store, const obs::Metrics& metrics);
  struct Crowd;  // the connections of a daemon

  base::Status Listen(const std::string& url);
  base::Status StartAdopting();

  const engine::Store& store_;
  const obs::Metrics& metrics_;
  std::vector<std::unique_ptr<Crowd>> crowds_;
  std::vector<MHD_Daemon*> daemons_;
  MHD_Daemon* adopting_ = nullptr;  // one of them
  mutable std::atomic<unsigned> adopted_ = 0;
  std::vector<std::string> urls_;
};

}  // namespace strata::serve

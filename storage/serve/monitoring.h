// What operators look at: /health, /livez, /readyz, /version and /metrics over plain HTTP, as etcd
// answers them under --listen-metrics-urls. The gRPC library speaks nothing else on its ports.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "obs/metrics.h"
#include "storage/engine/store.h"

struct MHD_Daemon;

namespace strata::serve {

// Answers on a thread of its own as long as it lives. At most 64 connections at a time, each for
// ten seconds of silence.
class Monitoring {
 public:
  // `urls` are http://HOST:PORT. The error names the URL.
  static base::StatusOr<std::unique_ptr<Monitoring>> Start(const std::vector<std::string>& urls,
                                                           const engine::Store& store,
                                                           const obs::Metrics& metrics);
  ~Monitoring();

  // With the ports that were chosen.
  const std::vector<std::string>& urls() const { return urls_; }

  struct Answer {
    unsigned status = 200;
    const char* content_type = "text/plain; charset=utf-8";
    std::string body;
  };
  // `verbose`: each check by itself.
  Answer AnswerTo(std::string_view path, bool verbose) const;

 private:
  Monitoring(const engine::Store& store, const obs::Metrics& metrics)
      : store_(store), metrics_(metrics) {}
  base::Status Listen(const std::string& url);

  const engine::Store& store_;
  const obs::Metrics& metrics_;
  std::vector<MHD_Daemon*> daemons_;
  std::vector<std::string> urls_;
};

}  // namespace strata::serve

// HTTP to kube-apiserver, by libcurl: kept connections, deadlines, retries. Nothing limits how many
// requests a second are made; reviews are cached by those who ask for them.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/shares.h"
#include "lib/base/status.h"
#include "lib/obs/metrics.h"
#include "server/kube/api.h"
#include "server/kube/config.h"

namespace strata::kube {

class Client final : public Api {
 public:
  struct Options {
    std::string name = "kube-apiserver";  // in metrics: what it is used for
    size_t max_in_flight = 1000;          // requests, shared by whom they are for; more are refused
    size_t max_response_bytes = 32 << 20;
    std::chrono::milliseconds connect_timeout{5'000};
    // All attempts of one request together.
    std::chrono::milliseconds retry_limit{30'000};
    // A connection isn't kept longer: new ones use the certificate and the CA as they are now.
    std::chrono::seconds connection_lifetime{300};
  };

  // By the kubeconfig, or if its name is empty as the pod that this is. Null: it is none.
  static base::StatusOr<std::shared_ptr<Client>> Connect(const std::string& kubeconfig,
                                                         const Options& options,
                                                         obs::Metrics& metrics);

  // It must outlive the scrapes of `metrics`.
  Client(Config config, const Options& options, obs::Metrics& metrics);
  // Whoever waits is answered with kCancelled, on the client's thread.
  ~Client() override;

  void Send(Request request, Done done) override ABSL_LOCKS_EXCLUDED(mu_);
  void Stream(Request request, Data data, Done done) override ABSL_LOCKS_EXCLUDED(mu_);
  void RunAfter(std::chrono::milliseconds delay, std::function<void()> task) override
      ABSL_LOCKS_EXCLUDED(mu_);

  // Ends the thread, too.
  void Stop() override ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Transfer;
  class Loop;
  void Enqueue(std::unique_ptr<Transfer> transfer) ABSL_LOCKS_EXCLUDED(mu_);

  const Options options_;
  base::Shares in_flight_;
  absl::Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::unique_ptr<Transfer>> queue_ ABSL_GUARDED_BY(mu_);
  const std::unique_ptr<Loop> loop_;
  std::thread thread_;
};

}  // namespace strata::kube

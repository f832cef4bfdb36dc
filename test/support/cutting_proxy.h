// A TCP proxy that breaks connections after as many bytes as a test wants, or freezes or delays
// them, or takes little on each stream of their HTTP/2.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace strata::testing_support {

// Thread-safe.
class CuttingProxy {
 public:
  // `target` is http://127.0.0.1:PORT.
  explicit CuttingProxy(const std::string& target);
  ~CuttingProxy();

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

  // Breaks all connections. Of those that come then, the one after `others` is broken after `bytes`
  // from the target; 0: never.
  void CutAfter(int64_t bytes, int others) ABSL_LOCKS_EXCLUDED(mu_);

  // While it is frozen, connections are taken, and nothing passes: as through a process that was
  // stopped.
  void Freeze(bool frozen) ABSL_LOCKS_EXCLUDED(mu_);
  // Nothing passes any more over the connections that there are, and all over those that come.
  void FreezeOpen() ABSL_LOCKS_EXCLUDED(mu_);
  // From now on what passes takes so long at least, and twice that at most.
  void Delay(std::chrono::milliseconds time) ABSL_LOCKS_EXCLUDED(mu_);
  // Of connections that come from now on: each has so many streams at a time, and each of these may
  // send the target so many bytes and is never granted more.
  struct Granted {
    uint32_t bytes = 65'535, streams = 100;
  };
  void Grant(Granted granted) ABSL_LOCKS_EXCLUDED(mu_);
  // Connections that are open.
  int connections() const ABSL_LOCKS_EXCLUDED(mu_);

  // Bytes that the target has sent over that one.
  int64_t passed() const ABSL_LOCKS_EXCLUDED(mu_);
  // Connections that were broken because of their limit.
  int cut() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  class Miser;
  void Accept();
  void Serve(int client);
  // Of a connection: what is done to it, and which it is.
  struct Fate {
    bool watched = false;
    int64_t limit = 0;
    int number = 0;
  };
  void Pump(int from, int to, const Fate& fate, Miser* miser);

  const int target_port_;
  int listener_ = -1;
  int port_ = 0;
  mutable absl::Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  bool frozen_ ABSL_GUARDED_BY(mu_) = false;
  int accepted_ ABSL_GUARDED_BY(mu_) = 0;
  int frozen_before_ ABSL_GUARDED_BY(mu_) = 0;  // connections with a lower number are
  std::chrono::milliseconds delay_ ABSL_GUARDED_BY(mu_){0};
  std::optional<Granted> granted_ ABSL_GUARDED_BY(mu_);
  int64_t limit_ ABSL_GUARDED_BY(mu_) = 0;
  int others_ ABSL_GUARDED_BY(mu_) = -1;  // that still come before it; -1: it has come
  int64_t passed_ ABSL_GUARDED_BY(mu_) = 0;
  int cut_ ABSL_GUARDED_BY(mu_) = 0;
  std::vector<int> open_ ABSL_GUARDED_BY(mu_);
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mu_);
  std::thread acceptor_;
};

}  // namespace strata::testing_support

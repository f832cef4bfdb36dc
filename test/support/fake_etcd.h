// An etcd that misbehaves on command: a model of the store behind a real gRPC server on a socket,
// for tests of the rooms that read from one. It remembers the state of every revision that ever
// was, so that a test can tell whether what a client shows was true.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace grpc {
class Server;
}

namespace strata::testing_support {

// Thread-safe.
class FakeEtcd {
 public:
  using Revision = int64_t;
  struct Value {
    std::string value;
    Revision created = 0, modified = 0;
  };
  using State = std::map<std::string, Value>;
  // One transaction: keys with their new value, or none for a deletion.
  using Changes = std::vector<std::pair<std::string, std::optional<std::string>>>;

  enum class Progress {
    kHonest,    // answered once everything before has been sent
    kNever,     // requests stay without an answer
    kTooEarly,  // answered with the current revision even while events are held (etcd issue 15220)
  };

  struct Behaviour {
    std::string version = "3.6.5";  // empty: the RPC isn't implemented
    int hang_versions = 0;        // so many of the next questions for it, but a connection's first
    int cut_after = 0;            // ends every watch stream after so many responses; 0: never
    int events_per_fragment = 0;  // of a watch that accepts fragments; 0: no fragments
    int revisions_per_response = 1000;
    bool hold_watches = false;      // sends no events
    bool hang_reads = false;        // Range answers when this ends
    int delay_events_up_to_us = 0;  // at random, before each response with events
    Progress progress = Progress::kHonest;
    int fail_reads = 0;  // so many of the next Ranges are UNAVAILABLE
    // Of each page that says that there are more: its keys, and what becomes of them.
    enum class Pages { kHonest, kEmpty, kBackwards, kOutOfRange } pages = Pages::kHonest;
    bool refuse_watches = false;  // each is cancelled at once
    bool mute_watches = false;    // none is answered, on a stream that stays open
    bool unknown_events = false;  // of a type that no etcd has yet
    bool garbled_events = false;  // in messages that aren't UTF-8 where they must be
    bool kine = false;  // the subset of kine 0.13: no sorting, no keys alone, no cluster id, an
                        // empty header in `created`
    int most_values_per_answer =
        0;  // more is RESOURCE_EXHAUSTED, as a message above a limit is; 0: no limit
    std::string user{}, password{};  // empty: no authentication
    std::string tokens = "token-";   // what they begin with
  };

  explicit FakeEtcd(Behaviour behaviour);
  FakeEtcd() : FakeEtcd(Behaviour()) {}
  ~FakeEtcd();

  // http://127.0.0.1:PORT, the same for ever.
  const std::string& url() const { return url_; }

  Revision Commit(const Changes& changes) ABSL_LOCKS_EXCLUDED(mu_);
  Revision Put(const std::string& key, const std::string& value) { return Commit({{key, value}}); }
  Revision Delete(const std::string& key) { return Commit({{key, std::nullopt}}); }
  void Compact(Revision at) ABSL_LOCKS_EXCLUDED(mu_);
  // What a snapshot of `at` brings back: later revisions are forgotten and will be others. Streams
  // end.
  enum class Trace { kNone, kClusterId, kRaftTerm };  // by what one can tell
  void Restore(Revision at, Trace trace) ABSL_LOCKS_EXCLUDED(mu_);
  // The same without a trace, and at once other transactions take the place of those that are
  // forgotten.
  void Diverge(Revision at, const std::vector<Changes>& instead) ABSL_LOCKS_EXCLUDED(mu_);
  void CutStreams() ABSL_LOCKS_EXCLUDED(mu_);
  void Down();  // nothing listens
  void Up();
  void ExpireTokens() ABSL_LOCKS_EXCLUDED(mu_);

  template <typename Change>
  void Behave(const Change& change) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    change(behaviour_);
  }

  Revision revision() const ABSL_LOCKS_EXCLUDED(mu_);
  State state() const ABSL_LOCKS_EXCLUDED(mu_);
  // Whether the keys of [begin, end) had exactly these modification revisions at `at`, in some
  // history of the store.
  bool WasEver(Revision at, const std::string& begin, const std::string& end,
               const std::map<std::string, Revision>& modified) const ABSL_LOCKS_EXCLUDED(mu_);

  int reads() const ABSL_LOCKS_EXCLUDED(mu_);    // Ranges that came
  int watches() const ABSL_LOCKS_EXCLUDED(mu_);  // watches that were opened
  int open_watches() const ABSL_LOCKS_EXCLUDED(mu_);
  int progress_requests() const ABSL_LOCKS_EXCLUDED(mu_);
  int authentications() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Services;
  friend struct Services;
  struct LoggedEvent {
    std::string key;
    std::optional<Value> put;  // none: a deletion
  };

  void Listen();
  Revision CommitLocked(const Changes& changes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void RestoreLocked(Revision at) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  std::string url_;

  mutable absl::Mutex mu_;
  Behaviour behaviour_ ABSL_GUARDED_BY(mu_);
  Revision revision_ ABSL_GUARDED_BY(mu_) = 1;
  Revision compacted_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t cluster_id_ ABSL_GUARDED_BY(mu_) = 0xc1;
  uint64_t raft_term_ ABSL_GUARDED_BY(mu_) = 1'000'000;
  std::map<Revision, State> history_ ABSL_GUARDED_BY(mu_);
  std::map<Revision, std::vector<State>> forgotten_ ABSL_GUARDED_BY(mu_);  // of before a restore
  std::map<Revision, std::vector<LoggedEvent>> log_ ABSL_GUARDED_BY(mu_);
  int epoch_ ABSL_GUARDED_BY(mu_) = 0;  // streams of an older one end
  std::set<std::string> tokens_ ABSL_GUARDED_BY(mu_);
  int reads_ ABSL_GUARDED_BY(mu_) = 0;
  int watches_ ABSL_GUARDED_BY(mu_) = 0;
  int open_watches_ ABSL_GUARDED_BY(mu_) = 0;
  int progress_requests_ ABSL_GUARDED_BY(mu_) = 0;
  int authentications_ ABSL_GUARDED_BY(mu_) = 0;

  std::unique_ptr<Services> services_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace strata::testing_support

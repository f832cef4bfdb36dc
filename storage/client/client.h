// A client of the etcd v3 API: etcd, the embedded store, or whatever else speaks it.
//
// Calls have deadlines; a call that an endpoint can't take goes to the next one. A little read, of
// one key, waits half a second for an endpoint's answer and then goes on too; where none of them
// has been so quick they are all asked again, and get twice as long. Calls that are started call
// back; the others wait for it.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/functional/any_invocable.h>
#include <absl/synchronization/mutex.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/status.h"
#include "lib/obs/log.h"
#include "lib/obs/metrics.h"
#include "storage/client/requests.h"

namespace etcdserverpb {
class RangeRequest;
class RangeResponse;
}  // namespace etcdserverpb
namespace grpc {
class Channel;
class Status;
}  // namespace grpc
namespace strata::net {
class ClientCredentials;
}  // namespace strata::net

namespace strata::client {

struct Options {
  std::vector<std::string> endpoints{};            // as ParseAddress takes them
  std::string ca_file{}, cert_file{}, key_file{};  // PEM; for https
  std::string username{}, password{};
  std::chrono::milliseconds dial_timeout{5'000};  // of one attempt: TCP, TLS, a first answer
  // The same where other endpoints could be tried, until that hasn't been enough.
  std::chrono::milliseconds dial_patience{1'000};
  std::chrono::milliseconds keepalive_time{
      10'000};  // etcd refuses pings that come more often than every 5 s
  std::chrono::milliseconds keepalive_timeout{5'000};
  // Of one message. gRPC's own 4 MiB is less than a page of large records, which is 16 MiB or so;
  // etcd divides what a watch brings by its --max-request-bytes (1.5 MiB; more than 10 is warned
  // of). What a message becomes in memory may be thirty times its bytes.
  int max_receive_bytes = 64 << 20;
  // Of the events of one revision, in memory. What a transaction puts is within
  // --max-request-bytes, but it may delete any number of keys: these are a million records.
  size_t max_revision_bytes = size_t{256} << 20;
};

// Ends calls early: those in flight that were given it, and all that come later. Thread-safe.
class Cancellation {
 public:
  void Cancel() ABSL_LOCKS_EXCLUDED(mu_);

 private:
  friend class Client;
  using Canceller = std::function<void()>;
  // False if it was cancelled. `cancel` must be left before it ends.
  bool Enter(const Canceller& cancel) ABSL_LOCKS_EXCLUDED(mu_);
  void Leave(const Canceller& cancel) ABSL_LOCKS_EXCLUDED(mu_);

  absl::Mutex mu_;
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<const Canceller*> calls_ ABSL_GUARDED_BY(mu_);
};

class CallEnd;
class Watch;
struct WatchOptions {
  std::string key;
  std::string end;
  base::Revision start = 0;  // the first revision wanted
};

// Thread-safe.
class Client {
 public:
  // The error names the file that can't be used or the URL that is none. Nothing is dialled yet.
  static base::StatusOr<std::unique_ptr<Client>> Create(const Options& options,
                                                        const obs::Logger& log,
                                                        obs::Metrics& metrics);
  // To a server in this process. `range` answers at once, for RangeDirectly; without it that goes
  // over the channel too.
  using InProcessRange =
      std::function<grpc::Status(const etcdserverpb::RangeRequest&, etcdserverpb::RangeResponse*)>;
  static std::unique_ptr<Client> OverChannel(const std::shared_ptr<grpc::Channel>& channel,
                                             obs::Metrics& metrics, InProcessRange range = {});
  // Ends the calls that are under way, and waits for their callbacks.
  ~Client();

  // Linearizable. kOutOfRange if the revision is compacted, or isn't there yet. kCancelled by
  // `cancellation`.
  base::StatusOr<RangeResult> Range(const RangeOptions& options, base::MonotonicTime deadline,
                                    Cancellation* cancellation = nullptr);
  // The same without waiting: `done` is called once, soon after the deadline at the latest, on a
  // thread of this client's or of gRPC's, which it may not block, or on the caller's before this
  // returns. `cancellation` outlives the call.
  template <typename Result>
  using Callback = absl::AnyInvocable<void(base::StatusOr<Result>) &&>;
  void StartRange(const RangeOptions& options, base::MonotonicTime deadline,
                  Cancellation* cancellation, Callback<RangeResult> done);
  // Range for whoever asks all the time and for little: over a connection that no other call
  // uses, at a fifth of the CPU. One such call runs at a time; others wait for it. Answers of up to
  // 4 MiB.
  base::StatusOr<RangeResult> RangeDirectly(const RangeOptions& options,
                                            base::MonotonicTime deadline,
                                            Cancellation* cancellation = nullptr)
      ABSL_LOCKS_EXCLUDED(direct_mu_);
  // As for all calls, an endpoint that fails is left for the next one, which is given the same:
  // what the first one did without saying so is done twice, unless compares forbid it.
  base::StatusOr<TxnResult> Commit(const Txn& txn, base::MonotonicTime deadline,
                                   Cancellation* cancellation = nullptr);
  void StartCommit(Txn txn, base::MonotonicTime deadline, Cancellation* cancellation,
                   Callback<TxnResult> done);
  // kine takes deletes in a transaction alone.
  base::StatusOr<DeleteResult> Delete(const DeleteOptions& options, base::MonotonicTime deadline,
                                      Cancellation* cancellation = nullptr);
  void StartDelete(const DeleteOptions& options, base::MonotonicTime deadline,
                   Cancellation* cancellation, Callback<DeleteResult> done);
  // The server's version, "3.6.5".
  base::StatusOr<std::string> Version(base::MonotonicTime deadline,
                                      Cancellation* cancellation = nullptr);

  // Reads the TLS files again if they have changed, so that what is wrong with them is told before
  // a connection needs them.
  void LookAtFiles();

  // For messages: "http://a:2379,http://b:2379".
  std::string endpoints() const;

  std::unique_ptr<Watch> OpenWatch(const WatchOptions& options);
  // A stream whose watch comes later (Watch::Begin). `probe` is a key of the range that is never
  // written: the backend's answers about it show that it is there.
  std::unique_ptr<Watch> OpenStream(const std::string& probe);
  // The same over a connection of its own, and to another endpoint than `watch`'s if there are
  // several: each time that it is called, with the next `turn`, to another of them. Null if there
  // can be none, because the server is in this process.
  std::unique_ptr<Watch> OpenStreamBeside(const Watch& watch, const std::string& probe,
                                          size_t turn);

 private:
  friend class Watch;
  struct Endpoint;
  struct Attempt;
  class Attempts;
  class EndpointCall;
  class Call;
  // One kind of call, as /metrics shows it.
  struct CallKind {
    enum class Size { kLittle, kAny };
    CallKind(obs::Metrics& metrics, const char* name, bool may_be_repeated, Size size);
    const obs::Histogram seconds;
    const obs::Counter requests;
    const obs::Counter errors;
    const bool repeatable;  // a call that may have been done can be made once more
    const base::MonotonicTime::duration patience;  // for an answer, where others may be asked
  };
  Client(std::unique_ptr<net::ClientCredentials> tls,
         std::vector<std::unique_ptr<Endpoint>> endpoints, const Options& options,
         obs::Metrics& metrics);

  template <typename Work>
  static base::Status Cancellable(Cancellation* cancellation, const Cancellation::Canceller& cancel,
                                  const Work& work);
  Endpoint& current() const;
  // Turns to the next endpoint, unless another thread has done so since `failed` was current.
  void Leave(const Endpoint& failed);
  // What calls send along, of etcd's users; empty: nothing. Nothing where it has to be asked for.
  std::optional<std::string> KnownToken() ABSL_LOCKS_EXCLUDED(mu_);
  using GotToken = absl::AnyInvocable<void(base::StatusOr<std::string>) &&>;
  void StartToken(Endpoint& endpoint, base::MonotonicTime deadline, CallEnd& end, GotToken then)
      ABSL_LOCKS_EXCLUDED(mu_);
  base::StatusOr<std::string> Token(Endpoint& endpoint, base::MonotonicTime deadline, CallEnd& end);
  void ForgetToken() ABSL_LOCKS_EXCLUDED(mu_);

  // Ends after the endpoints do.
  const std::shared_ptr<grpc::Channel> callback_threads_;
  const Options options_;
  const std::unique_ptr<net::ClientCredentials> tls_;  // null: no endpoint has TLS
  const std::vector<std::unique_ptr<Endpoint>> endpoints_;
  const CallKind get_, list_, txn_, delete_, status_;

  absl::Mutex calls_mu_;
  std::unordered_set<Call*> calls_ ABSL_GUARDED_BY(calls_mu_);  // that aren't over
  absl::Mutex direct_mu_;  // held during a call over Endpoint::direct
  mutable absl::Mutex mu_;
  size_t current_ ABSL_GUARDED_BY(mu_) = 0;
  std::string token_ ABSL_GUARDED_BY(mu_);  // of --etcd-username; empty until it is needed
};

}  // namespace strata::client

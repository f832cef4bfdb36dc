// The objects of one kind in kube-apiserver, listed and watched, as client-go's informers do.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "lib/base/status.h"
#include "lib/base/string_map.h"
#include "lib/obs/log.h"
#include "server/kube/api.h"
#include "server/kube/watch_events.h"

namespace strata::kube {

// Ends before its Api does, or after Api::Stop, but not between.
class Informer {
 public:
  struct Source {
    std::string path;                 // "/apis/rbac.authorization.k8s.io/v1/clusterroles"
    std::string field_selector = {};  // "metadata.name=…"
  };
  struct Options {
    int page_size = 500;
    std::chrono::milliseconds first_backoff{1'000}, max_backoff{30'000};
    // A watch is opened again after this; a silent one is broken a little later, since the API
    // server may hang while others behind the same address serve. HTTP/1.1 has no ping; that of
    // client-go's HTTP/2 takes 45 s.
    std::chrono::seconds watch_time{30};
    size_t max_frame_bytes = 16 << 20;
  };
  // The protobuf form of each object, by "namespace/name" or "name".
  using Objects = base::StringMap<std::string>;
  // All objects, once there is a complete list and after each change; on the Api's thread. An error
  // is logged, and these objects are as good as none before.
  using Update = std::function<base::Status(const Objects& objects)>;

  Informer(Api& api, Source source, const Options& options, Update update, const obs::Logger& log);

  void Start();

  // Whether an update has been taken.
  bool synced() const ABSL_LOCKS_EXCLUDED(mu_);
  // Why there is no fresh list or watch at the moment; OK if there is.
  base::Status status() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void List();
  void OnPage(const Response& page);
  void Watch();
  bool OnData(std::string_view bytes);
  base::Status Change(std::string_view type, const WatchEvents::Object& object);
  void OnWatchEnd(const base::StatusOr<Response>& end);
  void Deliver();
  void SetStatus(base::Status status) ABSL_LOCKS_EXCLUDED(mu_);
  void ListLater(const base::Status& why);
  // After the backoff, which begins anew with a watch that brings something or lasts its time.
  void RetryAfter(const base::Status& why, void (Informer::*next)());
  std::string Url(const std::string& query) const;

  Api& api_;
  const Source source_;
  const Options options_;
  const Update update_;
  const obs::Logger& log_;

  // The Api's thread's.
  Objects objects_;
  Objects listing_;
  std::string continue_, revision_;
  WatchEvents events_;
  base::Status watch_error_;
  base::Status taken_;    // what the last update said
  std::string told_;      // why there was none, since the last watch began
  bool brought_ = false;  // something came by this watch
  bool changed_ = false;
  std::chrono::milliseconds backoff_;

  mutable absl::Mutex mu_;
  bool synced_ ABSL_GUARDED_BY(mu_) = false;
  base::Status status_ ABSL_GUARDED_BY(mu_);
};

}  // namespace strata::kube

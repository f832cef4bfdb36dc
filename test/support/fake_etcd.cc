#include "test/support/fake_etcd.h"

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <thread>

#include "proto/etcd/rpc.grpc.pb.h"
#include "test/support/random.h"

namespace strata::testing_support {
namespace {

using etcdserverpb::WatchRequest;
using etcdserverpb::WatchResponse;
using grpc::ServerContext;
using grpc::StatusCode;

constexpr absl::Duration kPoll =
    absl::Milliseconds(5);  // how soon a handler sees that its call was cancelled

// kine takes a range for the folder before its end, and a watch for the folder that it begins with.
std::string KineFolder(std::string end) {
  if (!end.empty()) --end.back();
  return end;
}

bool InRange(const std::string& key, const std::string& begin, const std::string& end) {
  return end.empty() ? key == begin : key >= begin && key < end;
}

}  // namespace

struct FakeEtcd::Services : etcdserverpb::KV::Service,
                            etcdserverpb::Watch::CallbackService,
                            etcdserverpb::Maintenance::Service,
                            etcdserverpb::Auth::Service {
  explicit Services(FakeEtcd& e) : etcd(e) {}

  void Fill(etcdserverpb::ResponseHeader& header) ABSL_EXCLUSIVE_LOCKS_REQUIRED(etcd.mu_) {
    header.set_revision(etcd.revision_);
    if (etcd.behaviour_.kine) return;
    header.set_cluster_id(etcd.cluster_id_);
    header.set_raft_term(etcd.raft_term_);
  }

  grpc::Status Authorized(const grpc::ServerContextBase& context)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(etcd.mu_) {
    if (etcd.behaviour_.user.empty()) return grpc::Status::OK;
    const auto token = context.client_metadata().find("token");
    if (token == context.client_metadata().end()) {
      return {StatusCode::INVALID_ARGUMENT, "etcdserver: user name is empty"};
    }
    if (!etcd.tokens_.contains(std::string(token->second.data(), token->second.size()))) {
      return {StatusCode::UNAUTHENTICATED, "etcdserver: invalid auth token"};
    }
    return grpc::Status::OK;
  }

  void Spoil(std::vector<std::pair<std::string, Value>>& page)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(etcd.mu_) {
    using Pages = Behaviour::Pages;
    if (etcd.behaviour_.pages == Pages::kEmpty) page.clear();
    if (etcd.behaviour_.pages == Pages::kBackwards) std::reverse(page.begin(), page.end());
    if (etcd.behaviour_.pages == Pages::kOutOfRange) page.back().first = "/";
  }

  grpc::Status Range(ServerContext* context, const etcdserverpb::RangeRequest* request,
                     etcdserverpb::RangeResponse* response) override {
    absl::MutexLock lock(&etcd.mu_);
    ++etcd.reads_;
    while (etcd.behaviour_.hang_reads) {
      if (context->IsCancelled()) return grpc::Status::CANCELLED;
      etcd.mu_.AwaitWithTimeout(
          absl::Condition(
              +[](bool* hang) { return !*hang; }, &etcd.behaviour_.hang_reads),
          kPoll);
    }
    if (etcd.behaviour_.fail_reads > 0) {
      --etcd.behaviour_.fail_reads;
      return {StatusCode::UNAVAILABLE, "etcdserver: leader changed"};
    }
    if (const grpc::Status status = Authorized(*context); !status.ok()) return status;
    const Revision at = request->revision() == 0 ? etcd.revision_ : request->revision();
    if (at > etcd.revision_)
      return {StatusCode::OUT_OF_RANGE, "etcdserver: mvcc: required revision is a future revision"};
    if (at < etcd.compacted_)
      return {StatusCode::OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted"};
    const bool sorted = request->sort_order() != etcdserverpb::RangeRequest::NONE;
    // kine pkg/server/kv.go Range, before 0.14.
    if (etcd.behaviour_.kine) {
      const char* const unsupported = request->keys_only()          ? "keysOnly"
                                      : sorted                      ? "sortOrder"
                                      : request->sort_target() != 0 ? "sortTarget"
                                      : request->serializable()     ? "serializable"
                                                                    : nullptr;
      if (unsupported != nullptr)
        return {StatusCode::UNIMPLEMENTED,
                std::string(unsupported) + " is not implemented by kine"};
    }
    std::vector<std::pair<std::string, Value>> found;
    const auto state = etcd.history_.upper_bound(at);
    if (state != etcd.history_.begin()) {
      for (const auto& [key, value] : std::prev(state)->second) {
        if (!InRange(key, request->key(), request->range_end())) continue;
        if (etcd.behaviour_.kine && !key.starts_with(KineFolder(request->range_end()))) continue;
        found.emplace_back(key, value);
      }
    }
    if (sorted) {
      std::sort(found.begin(), found.end(),
                [](const auto& a, const auto& b) { return a.second.modified > b.second.modified; });
    }
    Fill(*response->mutable_header());
    response->set_count(static_cast<int64_t>(found.size()));
    if (request->count_only()) return grpc::Status::OK;
    if (request->limit() > 0 && found.size() > static_cast<size_t>(request->limit())) {
      found.erase(found.begin() + request->limit(), found.end());
      response->set_more(true);
      Spoil(found);
    }
    if (etcd.behaviour_.most_values_per_answer > 0 && !request->keys_only() &&
        found.size() > static_cast<size_t>(etcd.behaviour_.most_values_per_answer)) {
      return {StatusCode::RESOURCE_EXHAUSTED, "grpc: received message larger than max"};
    }
    for (const auto& [key, value] : found) {
      auto& kv = *response->add_kvs();
      kv.set_key(key);
      if (!request->keys_only()) kv.set_value(value.value);
      kv.set_create_revision(value.created);
      kv.set_mod_revision(value.modified);
    }
    return grpc::Status::OK;
  }

  grpc::Status Status(ServerContext* context, const etcdserverpb::StatusRequest*,
                      etcdserverpb::StatusResponse* response) override {
    absl::MutexLock lock(&etcd.mu_);
    if (!greeted.insert(context->peer()).second && etcd.behaviour_.hang_versions > 0) {
      --etcd.behaviour_.hang_versions;
      const auto cancelled = [&] { return context->IsCancelled(); };
      while (!etcd.mu_.AwaitWithTimeout(absl::Condition(&cancelled), kPoll)) {
      }
      return grpc::Status::CANCELLED;
    }
    if (etcd.behaviour_.version.empty()) return {StatusCode::UNIMPLEMENTED, "no such RPC"};
    response->set_version(etcd.behaviour_.version);
    return grpc::Status::OK;
  }

  grpc::Status Authenticate(ServerContext*, const etcdserverpb::AuthenticateRequest* request,
                            etcdserverpb::AuthenticateResponse* response) override {
    absl::MutexLock lock(&etcd.mu_);
    if (etcd.behaviour_.user.empty()) {
      return {StatusCode::FAILED_PRECONDITION, "etcdserver: authentication is not enabled"};
    }
    if (request->name() != etcd.behaviour_.user ||
        request->password() != etcd.behaviour_.password) {
      return {StatusCode::INVALID_ARGUMENT,
              "etcdserver: authentication failed, invalid user ID or password"};
    }
    const std::string token = etcd.behaviour_.tokens + std::to_string(++etcd.authentications_);
    etcd.tokens_.insert(token);
    response->set_token(token);
    return grpc::Status::OK;
  }

  struct WatchState {
    int64_t id = 0;
    WatchRequest create;
    Revision next = 0;
  };

  // A thread writes; gRPC's read.
  class Stream : public grpc::ServerBidiReactor<WatchRequest, WatchResponse> {
   public:
    Stream(Services& s, grpc::CallbackServerContext& c) : services(s), mu(s.etcd.mu_), context(c) {
      StartRead(&incoming);
      thread = std::thread([this] { Finish(services.Serve(*this)); });
    }
    void OnReadDone(bool ok) override {
      absl::MutexLock lock(&mu);
      if (!ok) {
        closed = true;
        return;
      }
      requests.push_back(incoming);
      StartRead(&incoming);
    }
    void OnWriteDone(bool ok) override {
      absl::MutexLock lock(&mu);
      written = true;
      closed |= !ok;
    }
    void OnCancel() override {
      absl::MutexLock lock(&mu);
      closed = true;
    }
    void OnDone() override {
      thread.join();
      delete this;
    }

    Services& services;
    absl::Mutex& mu;
    grpc::CallbackServerContext& context;
    WatchRequest incoming;
    std::thread thread;
    // Guarded by mu; that it is the etcd's own is more than the analysis can follow.
    std::deque<WatchRequest> requests;
    bool closed = false;
    bool written = false;
    std::vector<WatchState> watches;
    int64_t next_id = 0;
    int responses = 0;
  };

  grpc::ServerBidiReactor<WatchRequest, WatchResponse>* Watch(
      grpc::CallbackServerContext* context) override {
    return new Stream(*this, *context);
  }

  grpc::Status Serve(Stream& stream) {
    Random random(
        static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count()));
    int epoch;
    {
      absl::MutexLock lock(&etcd.mu_);
      if (const grpc::Status status = Authorized(stream.context); !status.ok()) return status;
      const auto begun = [&] { return !stream.requests.empty() || stream.closed; };
      etcd.mu_.Await(absl::Condition(&begun));
      if (stream.closed) return grpc::Status::OK;
      ++etcd.watches_;
      ++etcd.open_watches_;
      epoch = etcd.epoch_;
    }
    const grpc::Status status = Deliver(stream, epoch, random);
    absl::MutexLock lock(&etcd.mu_);
    --etcd.open_watches_;
    return status;
  }

  // False if that was the last one.
  bool Send(Stream& stream, const WatchResponse& response) {
    {
      absl::MutexLock lock(&etcd.mu_);
      stream.written = false;
    }
    stream.StartWrite(&response);
    ++stream.responses;
    absl::MutexLock lock(&etcd.mu_);
    etcd.mu_.Await(absl::Condition(&stream.written));
    return !stream.closed &&
           (etcd.behaviour_.cut_after == 0 || stream.responses < etcd.behaviour_.cut_after);
  }

  grpc::Status Deliver(Stream& stream, int epoch, Random& random) {
    while (true) {
      std::vector<WatchResponse> out;
      int delay = 0;
      {
        absl::MutexLock lock(&etcd.mu_);
        const auto ready = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(etcd.mu_) {
          return stream.closed || epoch != etcd.epoch_ || !stream.requests.empty() ||
                 (!etcd.behaviour_.hold_watches &&
                  std::any_of(stream.watches.begin(), stream.watches.end(),
                              [&](const WatchState& watch) ABSL_NO_THREAD_SAFETY_ANALYSIS {
                                return watch.next <= etcd.revision_;
                              }));
        };
        etcd.mu_.AwaitWithTimeout(absl::Condition(&ready), kPoll);
        if (stream.closed) return grpc::Status::CANCELLED;
        if (epoch != etcd.epoch_) return {StatusCode::UNAVAILABLE, "cut"};
        const size_t asked = TakeRequests(stream, out);
        for (WatchState& watch : stream.watches) Collect(watch, out);
        std::erase_if(stream.watches, [&](const WatchState& watch) {
          return std::any_of(out.begin(), out.end(), [&](const WatchResponse& response) {
            return response.compact_revision() != 0 && response.watch_id() == watch.id;
          });
        });
        if (std::any_of(out.begin(), out.end(),
                        [](const auto& r) { return r.events_size() > 0; }) &&
            etcd.behaviour_.delay_events_up_to_us > 0) {
          delay = static_cast<int>(
              random.Below(static_cast<uint64_t>(etcd.behaviour_.delay_events_up_to_us)));
        }
        AnswerProgress(stream, asked, out);
      }
      if (delay > 0) std::this_thread::sleep_for(std::chrono::microseconds(delay));
      for (const WatchResponse& response : out) {
        if (!Send(stream, response)) return {StatusCode::UNAVAILABLE, "cut"};
      }
    }
  }

  // Watches that are created and cancelled; returns how often progress was asked for.
  size_t TakeRequests(Stream& stream, std::vector<WatchResponse>& out)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(etcd.mu_) {
    size_t asked = 0;
    for (; !stream.requests.empty(); stream.requests.pop_front()) {
      const WatchRequest& request = stream.requests.front();
      if (request.has_progress_request()) ++asked;
      WatchResponse answer;
      if (request.has_cancel_request()) {
        const int64_t id = request.cancel_request().watch_id();
        if (std::erase_if(stream.watches, [&](const auto& watch) { return watch.id == id; }) == 0)
          continue;
        Fill(*answer.mutable_header());
        answer.set_watch_id(id);
        answer.set_canceled(true);
        out.push_back(std::move(answer));
        continue;
      }
      if (!request.has_create_request() || etcd.behaviour_.mute_watches) continue;
      const auto& create = request.create_request();
      if (!etcd.behaviour_.kine) Fill(*answer.mutable_header());
      answer.set_created(true);
      if (etcd.behaviour_.refuse_watches) {
        answer.set_watch_id(-1);
        answer.set_canceled(true);
        answer.set_cancel_reason("etcdserver: permission denied");
      } else {
        const Revision start =
            create.start_revision() == 0 ? etcd.revision_ + 1 : create.start_revision();
        stream.watches.push_back({stream.next_id, request, start});
        answer.set_watch_id(stream.next_id++);
      }
      out.push_back(std::move(answer));
    }
    return asked;
  }

  // The events of the next revisions, as one response or as its fragments.
  void Collect(WatchState& watch, std::vector<WatchResponse>& out)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(etcd.mu_) {
    const auto& create = watch.create.create_request();
    WatchResponse response;
    response.set_watch_id(watch.id);
    if (watch.next < etcd.compacted_) {
      Fill(*response.mutable_header());
      response.set_canceled(true);
      response.set_compact_revision(etcd.compacted_);
      out.push_back(std::move(response));
      return;
    }
    if (etcd.behaviour_.hold_watches) return;
    Fill(*response.mutable_header());
    for (int revisions = 0;
         watch.next <= etcd.revision_ && revisions < etcd.behaviour_.revisions_per_response;
         ++watch.next) {
      const auto logged = etcd.log_.find(watch.next);
      if (logged == etcd.log_.end()) continue;
      const int before = response.events_size();
      for (const LoggedEvent& event : logged->second) {
        if (!InRange(event.key, create.key(), create.range_end())) continue;
        if (etcd.behaviour_.kine && !event.key.starts_with(create.key())) continue;
        auto& wire = *response.add_events();
        wire.mutable_kv()->set_key(event.key);
        wire.mutable_kv()->set_mod_revision(watch.next);
        wire.set_type(event.put ? mvccpb::Event::PUT : mvccpb::Event::DELETE);
        if (etcd.behaviour_.garbled_events) response.set_cancel_reason("\xff");
        if (etcd.behaviour_.unknown_events) wire.set_type(static_cast<mvccpb::Event::EventType>(2));
        if (!event.put) continue;
        wire.mutable_kv()->set_value(event.put->value);
        wire.mutable_kv()->set_create_revision(event.put->created);
      }
      if (response.events_size() != before) ++revisions;
    }
    if (response.events_size() == 0) return;
    const int size = etcd.behaviour_.events_per_fragment;
    if (size == 0 || !create.fragment() || etcd.behaviour_.kine) {
      out.push_back(std::move(response));
      return;
    }
    for (int first = 0; first < response.events_size(); first += size) {
      WatchResponse fragment;
      *fragment.mutable_header() = response.header();
      fragment.set_watch_id(watch.id);
      for (int i = first; i < std::min(first + size, response.events_size()); ++i)
        *fragment.add_events() = response.events(i);
      fragment.set_fragment(first + size < response.events_size());
      out.push_back(std::move(fragment));
    }
  }

  void AnswerProgress(const Stream& stream, size_t asked, std::vector<WatchResponse>& out)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(etcd.mu_) {
    if (asked == 0 || stream.watches.empty()) return;
    etcd.progress_requests_ += static_cast<int>(asked);
    const bool synced = std::all_of(stream.watches.begin(), stream.watches.end(),
                                    [&](const WatchState& watch) ABSL_NO_THREAD_SAFETY_ANALYSIS {
                                      return watch.next > etcd.revision_;
                                    });
    if (etcd.behaviour_.progress == Progress::kNever) return;
    if (!synced && etcd.behaviour_.progress == Progress::kHonest)
      return;  // as etcd 3.6: no answer at all
    WatchResponse progress;
    Fill(*progress.mutable_header());
    progress.set_watch_id(-1);
    out.push_back(std::move(progress));
  }

  FakeEtcd& etcd;
  std::set<std::string> greeted;  // guarded by the etcd's mutex: peers that asked for its version
};

FakeEtcd::FakeEtcd(Behaviour behaviour)
    : behaviour_(std::move(behaviour)), services_(std::make_unique<Services>(*this)) {
  history_[revision_] = {};
  Listen();
}

FakeEtcd::~FakeEtcd() {
  Down();
}

void FakeEtcd::Listen() {
  const std::string address = url_.empty() ? "127.0.0.1:0" : url_.substr(7);
  int port = 0;
  for (int tries = 0; server_ == nullptr || port == 0; ++tries) {
    grpc::ServerBuilder builder;
    builder.AddChannelArgument("grpc.so_reuseport", 0);
    builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(static_cast<etcdserverpb::KV::Service*>(services_.get()));
    builder.RegisterService(static_cast<etcdserverpb::Watch::CallbackService*>(services_.get()));
    builder.RegisterService(static_cast<etcdserverpb::Maintenance::Service*>(services_.get()));
    builder.RegisterService(static_cast<etcdserverpb::Auth::Service*>(services_.get()));
    server_ = builder.BuildAndStart();
    if (port != 0 && server_ != nullptr) break;
    if (tries == 100) {
      std::fprintf(stderr, "FakeEtcd can't listen on %s\n", address.c_str());
      std::abort();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  if (url_.empty()) url_ = "http://127.0.0.1:" + std::to_string(port);
}

void FakeEtcd::Down() {
  if (server_ == nullptr) return;
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
  server_.reset();
}

void FakeEtcd::Up() {
  if (server_ == nullptr) Listen();
}

FakeEtcd::Revision FakeEtcd::Commit(const Changes& changes) {
  absl::MutexLock lock(&mu_);
  return CommitLocked(changes);
}

FakeEtcd::Revision FakeEtcd::CommitLocked(const Changes& changes) {
  State state = history_.rbegin()->second;
  const Revision at = revision_ + 1;
  std::vector<LoggedEvent> events;
  for (const auto& [key, value] : changes) {
    if (!value) {
      if (state.erase(key) != 0) events.push_back({key, std::nullopt});
      continue;
    }
    Value& entry = state[key];
    entry = {*value, entry.created == 0 ? at : entry.created, at};
    events.push_back({key, entry});
  }
  if (events.empty()) return revision_;  // as etcd: a deletion of nothing is no revision
  revision_ = at;
  history_[at] = std::move(state);
  log_[at] = std::move(events);
  return at;
}

void FakeEtcd::Compact(Revision at) {
  absl::MutexLock lock(&mu_);
  compacted_ = std::max(compacted_, at);
}

void FakeEtcd::Restore(Revision at, Trace trace) {
  absl::MutexLock lock(&mu_);
  RestoreLocked(at);
  if (trace == Trace::kClusterId) ++cluster_id_;
  if (trace == Trace::kRaftTerm) --raft_term_;
}

void FakeEtcd::Diverge(Revision at, const std::vector<Changes>& instead) {
  absl::MutexLock lock(&mu_);
  RestoreLocked(at);
  for (const Changes& changes : instead) CommitLocked(changes);
}

void FakeEtcd::RestoreLocked(Revision at) {
  for (auto state = history_.upper_bound(at); state != history_.end();
       state = history_.erase(state)) {
    forgotten_[state->first].push_back(state->second);
  }
  log_.erase(log_.upper_bound(at), log_.end());
  revision_ = at;
  compacted_ = std::min(compacted_, at);
  ++epoch_;
}

void FakeEtcd::CutStreams() {
  absl::MutexLock lock(&mu_);
  ++epoch_;
}

void FakeEtcd::ExpireTokens() {
  absl::MutexLock lock(&mu_);
  tokens_.clear();
}

FakeEtcd::Revision FakeEtcd::revision() const {
  absl::MutexLock lock(&mu_);
  return revision_;
}

FakeEtcd::State FakeEtcd::state() const {
  absl::MutexLock lock(&mu_);
  return history_.rbegin()->second;
}

bool FakeEtcd::WasEver(Revision at, const std::string& begin, const std::string& end,
                       const std::map<std::string, Revision>& modified) const {
  absl::MutexLock lock(&mu_);
  const auto equal = [&](const State& state) {
    std::map<std::string, Revision> expected;
    for (const auto& [key, value] : state) {
      if (InRange(key, begin, end)) expected[key] = value.modified;
    }
    return expected == modified;
  };
  if (const auto now = history_.find(at); now != history_.end() && equal(now->second)) return true;
  const auto before = forgotten_.find(at);
  return before != forgotten_.end() &&
         std::any_of(before->second.begin(), before->second.end(), equal);
}

int FakeEtcd::reads() const {
  absl::MutexLock lock(&mu_);
  return reads_;
}
int FakeEtcd::watches() const {
  absl::MutexLock lock(&mu_);
  return watches_;
}
int FakeEtcd::open_watches() const {
  absl::MutexLock lock(&mu_);
  return open_watches_;
}
int FakeEtcd::progress_requests() const {
  absl::MutexLock lock(&mu_);
  return progress_requests_;
}
int FakeEtcd::authentications() const {
  absl::MutexLock lock(&mu_);
  return authentications_;
}

}  // namespace strata::testing_support

#include "storage/client/watch.h"

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <absl/time/time.h>
#include <fmt/format.h>
#include <grpcpp/support/sync_stream.h>

#include <deque>
#include <utility>

#include "base/bytes.h"
#include "storage/client/channel.h"

namespace strata::client {
namespace {

using etcdserverpb::WatchRequest;
using etcdserverpb::WatchResponse;

// Joined fragments of one message: more than any transaction can hold.
constexpr size_t kMaxFragmentBytes = 1u << 30;
// What isn't a watch's has this id (etcd clientv3 InvalidWatchID).
constexpr int64_t kNoWatch = -1;
constexpr std::chrono::seconds kTokenPatience(10);

}  // namespace

struct Watch::Stream {
  // What a creation was asked for. Answers come in the order of the questions.
  enum class Asked { kProbe, kWatch, kPing };

  Stream(Client& c, Client::Endpoint& e) : client(c), listed(e), endpoint(e) {}
  Stream(Client& c, Client::Endpoint& e, std::unique_ptr<Client::Endpoint> o)
      : client(c), listed(e), own(std::move(o)), endpoint(*own) {}

  void Open(bool require_leader);
  void Create(Asked what, const WatchOptions& options);
  void Write(const WatchRequest& request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mu) {
    if (stream != nullptr && !broken) stream->Write(request);
  }
  // What isn't about the watch is dealt with here; false then.
  base::StatusOr<bool> Concerns(const WatchResponse& response);
  base::StatusOr<bool> Created(const WatchResponse& response);
  base::Status Broken();

  // Members in the order of their construction: the context outlives the stream.
  Client& client;
  Client::Endpoint& listed;                     // the one of the client's
  const std::unique_ptr<Client::Endpoint> own;  // the same over another connection; may be null
  Client::Endpoint& endpoint;                   // the one of the two that is used
  grpc::ClientContext context;
  base::Status opened;
  std::unique_ptr<grpc::ClientReaderWriter<WatchRequest, WatchResponse>> stream;
  std::string probe;

  // The reading thread's own.
  int64_t watch_id = kNoWatch;
  int64_t probe_id = kNoWatch;
  uint64_t cluster_id = 0;

  absl::Mutex write_mu;  // gRPC allows one write at a time
  bool broken ABSL_GUARDED_BY(write_mu) = false;
  bool begun ABSL_GUARDED_BY(write_mu) = false;
  std::deque<Asked> asked ABSL_GUARDED_BY(write_mu);

  absl::Mutex ping_mu;  // may be taken with write_mu held
  uint64_t pings ABSL_GUARDED_BY(ping_mu) = 0;
  uint64_t pongs ABSL_GUARDED_BY(ping_mu) = 0;
  bool over ABSL_GUARDED_BY(ping_mu) = false;
};

void Watch::Stream::Open(bool require_leader) {
  // A member that lost its leader ends the stream instead of staying silent (etcd v3rpc
  // interceptor).
  if (require_leader) context.AddMetadata("hasleader", "true");
  context.set_wait_for_ready(false);
  endpoint.AwaitConnection(base::MonotonicTime::max());
  const auto token = client.Token(endpoint, std::chrono::steady_clock::now() + kTokenPatience);
  opened = token.status();
  if (!token.ok()) return;
  if (!token->empty()) context.AddMetadata("token", *token);
  stream = endpoint.watch->Watch(&context);
}

void Watch::Stream::Create(Asked what, const WatchOptions& options) {
  WatchRequest request;
  auto* create = request.mutable_create_request();
  create->set_key(options.key);
  create->set_range_end(options.end);
  create->set_start_revision(options.start);
  create->set_fragment(true);
  create->set_progress_notify(true);
  absl::MutexLock lock(&write_mu);
  asked.push_back(what);
  if (what == Asked::kWatch) begun = true;
  Write(request);
}

base::Status Watch::Stream::Broken() {
  {
    absl::MutexLock lock(&write_mu);
    broken = true;
  }
  {
    absl::MutexLock lock(&ping_mu);
    over = true;
  }
  const grpc::Status status = stream->Finish();
  client.Leave(listed);
  if (status.ok())
    return base::UnavailableError(fmt::format("etcd {}: the watch stream ended", endpoint.url));
  const base::Status error = FromGrpc(status, endpoint.url);
  if (IsTokensFault(error)) client.ForgetToken();
  return error;
}

base::StatusOr<bool> Watch::Stream::Created(const WatchResponse& response) {
  Asked what = Asked::kWatch;
  {
    absl::MutexLock lock(&write_mu);
    if (asked.empty()) return false;
    what = asked.front();
    asked.pop_front();
  }
  switch (what) {
    case Asked::kProbe:
      probe_id = response.watch_id();
      cluster_id = response.header().cluster_id();
      return false;
    case Asked::kWatch:
      watch_id = response.watch_id();
      return true;
    case Asked::kPing:
      break;
  }
  WatchRequest request;
  request.mutable_cancel_request()->set_watch_id(response.watch_id());
  {
    absl::MutexLock lock(&write_mu);
    Write(request);
  }
  absl::MutexLock lock(&ping_mu);
  ++pongs;
  return true;
}

base::StatusOr<bool> Watch::Stream::Concerns(const WatchResponse& response) {
  const int64_t id = response.watch_id();
  if (response.compact_revision() != 0) {
    return base::OutOfRangeError(fmt::format("etcd {}: compacted up to revision {}", endpoint.url,
                                             response.compact_revision()));
  }
  if (response.canceled()) {
    if (!response.created() && id != watch_id && id != probe_id) return false;  // a ping's
    // It may be for an old token; the reason's text is all that tells.
    client.ForgetToken();
    return base::UnavailableError(fmt::format("etcd {}: the watch was cancelled: {}", endpoint.url,
                                              base::Printable(response.cancel_reason(), 200)));
  }
  if (response.created()) return Created(response);
  return id == watch_id || id == kNoWatch;
}

std::unique_ptr<Watch> Client::OpenWatch(const WatchOptions& options) {
  auto stream = std::make_unique<Watch::Stream>(*this, current());
  stream->Open(/*require_leader=*/true);
  stream->Create(Watch::Stream::Asked::kWatch, options);
  return std::unique_ptr<Watch>(new Watch(std::move(stream)));
}

std::unique_ptr<Watch> Client::OpenStream(const std::string& probe) {
  auto stream = std::make_unique<Watch::Stream>(*this, current());
  stream->probe = probe;
  stream->Open(/*require_leader=*/true);
  stream->Create(Watch::Stream::Asked::kProbe, {.key = probe});
  return std::unique_ptr<Watch>(new Watch(std::move(stream)));
}

std::unique_ptr<Watch> Client::OpenStreamBeside(const Watch& watch, const std::string& probe,
                                                size_t turn) {
  Endpoint& taken = watch.stream_->listed;
  if (taken.dialled == nullptr) return nullptr;
  std::vector<Endpoint*> others;
  for (const auto& endpoint : endpoints_) {
    if (endpoint.get() != &taken) others.push_back(endpoint.get());
  }
  Endpoint& chosen = others.empty() ? taken : *others[turn % others.size()];
  auto channel = MakeChannel(chosen.url, options_);
  std::unique_ptr<Watch::Stream> stream;
  if (channel.ok()) {
    stream = std::make_unique<Watch::Stream>(
        *this, chosen, std::make_unique<Endpoint>(chosen.url, *channel, *channel));
    stream->probe = probe;
    // It stays while its member has no leader: the process goes on, and so does its history.
    stream->Open(/*require_leader=*/false);
    stream->Create(Watch::Stream::Asked::kProbe, {.key = probe});
  } else {
    stream = std::make_unique<Watch::Stream>(*this, chosen);
    stream->opened = channel.status();
  }
  return std::unique_ptr<Watch>(new Watch(std::move(stream)));
}

Watch::Watch(std::unique_ptr<Stream> stream) : stream_(std::move(stream)) {}

Watch::~Watch() {
  Cancel();
  if (stream_->stream == nullptr) return;
  bool finished;
  {
    absl::MutexLock lock(&stream_->write_mu);
    finished = std::exchange(stream_->broken, true);
  }
  if (!finished) stream_->stream->Finish();
}

base::StatusOr<uint64_t> Watch::AwaitOpen() {
  STRATA_RETURN_IF_ERROR(stream_->opened);
  while (stream_->probe_id == kNoWatch) {
    WatchResponse response;
    if (!stream_->stream->Read(&response)) return stream_->Broken();
    STRATA_RETURN_IF_ERROR(stream_->Concerns(response).status());
  }
  return stream_->cluster_id;
}

void Watch::Begin(const WatchOptions& options) {
  stream_->Create(Stream::Asked::kWatch, options);
}

base::StatusOr<WatchMessage> Watch::Next() {
  if (!stream_->opened.ok()) return stream_->opened;
  {
    absl::MutexLock lock(&stream_->write_mu);
    if (stream_->broken) return base::CancelledError("the watch is over");
  }
  WatchMessage message;
  size_t bytes = 0;
  for (bool complete = false; !complete;) {
    WatchResponse response;
    if (!stream_->stream->Read(&response)) return stream_->Broken();
    STRATA_ASSIGN_OR_RETURN(const bool concerns, stream_->Concerns(response));
    if (!concerns) continue;
    bytes += response.ByteSizeLong();
    if (bytes > kMaxFragmentBytes)
      return base::ResourceExhaustedError("fragments of one watch message exceed 1 GiB");
    // A notification of progress counts only by itself: a response with events may be one of many
    // that catch up.
    if (response.events_size() == 0 && !response.created())
      message.revision = response.header().revision();
    for (auto& event : *response.mutable_events()) {
      // What a later etcd might say isn't guessed at.
      if (event.type() != mvccpb::Event::PUT && event.type() != mvccpb::Event::DELETE) {
        return base::UnavailableError(fmt::format("etcd {}: a watch event of the unknown type {}",
                                                  stream_->endpoint.url,
                                                  static_cast<int>(event.type())));
      }
      auto& kv = *event.mutable_kv();
      const bool put = event.type() == mvccpb::Event::PUT;
      message.revision = kv.mod_revision();
      message.events.push_back({put ? Event::Type::kPut : Event::Type::kDelete,
                                std::move(*kv.mutable_key()), std::move(*kv.mutable_value()),
                                kv.mod_revision(),
                                put && kv.create_revision() == kv.mod_revision()});
    }
    complete = !response.fragment();
  }
  return message;
}

void Watch::RequestProgress() {
  WatchRequest request;
  request.mutable_progress_request();
  // A write blocks while the peer takes nothing: one thread is enough to wait for it.
  if (!stream_->write_mu.TryLock()) return;
  if (stream_->begun) stream_->Write(request);
  stream_->write_mu.Unlock();
}

void Watch::Poke() {
  {
    absl::MutexLock lock(&stream_->ping_mu);
    ++stream_->pings;
  }
  stream_->Create(Stream::Asked::kPing, {.key = stream_->probe});
}

bool Watch::Ping(base::MonotonicTime deadline) {
  uint64_t mine = 0;
  {
    absl::MutexLock lock(&stream_->ping_mu);
    mine = ++stream_->pings;
  }
  stream_->Create(Stream::Asked::kPing, {.key = stream_->probe});
  absl::MutexLock lock(&stream_->ping_mu);
  const auto decided = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(stream_->ping_mu) {
    return stream_->pongs >= mine || stream_->over;
  };
  const auto left = deadline - std::chrono::steady_clock::now();
  stream_->ping_mu.AwaitWithTimeout(absl::Condition(&decided), absl::FromChrono(left));
  return stream_->pongs >= mine;
}

base::StatusOr<std::string> Watch::Version(base::MonotonicTime deadline,
                                           Cancellation* cancellation) {
  grpc::ClientContext context;
  context.set_deadline(WallDeadline(deadline));
  etcdserverpb::StatusResponse response;
  Client::Endpoint& endpoint = stream_->endpoint;
  STRATA_RETURN_IF_ERROR(Client::Cancellable(
      cancellation, [&] { context.TryCancel(); },
      [&] {
        return FromGrpc(endpoint.maintenance->Status(&context, {}, &response), endpoint.url);
      }));
  return response.version();
}

void Watch::Cancel() {
  stream_->context.TryCancel();
  absl::MutexLock lock(&stream_->ping_mu);
  stream_->over = true;
}

}  // namespace strata::client

#include "storage/client/watch.h"

#include <fmt/format.h>
#include <grpcpp/alarm.h>

#include <iterator>
#include <utility>
#include <vector>

#include "lib/base/bytes.h"
#include "storage/client/channel.h"
#include "storage/client/endpoint.h"
#include "storage/client/watch_writer.h"

namespace strata::client {
namespace {

using etcdserverpb::WatchResponse;
using std::chrono::steady_clock;

// A stream that is over has its status with its end.
constexpr std::chrono::milliseconds kStatusPatience(1000);
// What isn't a watch's has this id (etcd clientv3 InvalidWatchID).
constexpr int64_t kNoWatch = -1;

size_t BytesOf(const Event& event) {
  return sizeof event + event.key.size() + event.value.size();
}

// Cancels a call that isn't over in time. Lives no longer than the call's context.
class Limit {
 public:
  Limit(grpc::ClientContext& context, base::MonotonicTime deadline) {
    late_->Arm([&context] { context.TryCancel(); });
    alarm_.Set(WallDeadline(deadline), [late = late_](bool expired) {
      if (expired) late->Set();
    });
  }
  ~Limit() { late_->Disarm(); }
  Limit(const Limit&) = delete;
  Limit& operator=(const Limit&) = delete;
  bool over() const { return late_->set(); }

 private:
  const std::shared_ptr<CallEnd> late_ = std::make_shared<CallEnd>();
  grpc::Alarm alarm_;
};

}  // namespace

// Opened by the first AwaitOpen or Next, so that Cancel ends whatever it waits for.
struct Watch::Stream {
  // Over the endpoint's connection, or one of its own.
  enum class Where { kShared, kApart };
  using Asked = WatchWriter::Asked;

  Stream(Client& c, Client::Endpoint& e, Where w, Asked f, const WatchOptions& o)
      : client(c), endpoint(e), where(w), first(f), options(o), writer(o.key) {}

  // Called by the reading thread.
  base::Status Open();
  // The next response that is about the watch, or gives a sign of life.
  base::StatusOr<WatchResponse> Read();
  // Adds what it brings.
  base::Status Take(WatchResponse& response, WatchMessage& message) const;
  // Keeps what may be a part of a revision's for the next message. Whether something is left.
  bool KeepLastRevision(WatchMessage& message);

  // What is opened next is another endpoint's, or has another connection.
  void Abandon();
  // What a creation that got no answer in time comes to.
  base::Status Unanswered();

  // Members in the order of their construction: the context outlives the stream.
  Client& client;
  Client::Endpoint& endpoint;
  const Where where;
  const Asked first;  // what the stream is opened with
  const WatchOptions options;
  CallEnd end;
  std::shared_ptr<const Connection> connection;
  grpc::ClientContext context;
  std::unique_ptr<WatchWriter::Stream> stream;  // null: not yet, or over
  WatchWriter writer;

  // The reading thread's own.
  bool over = false;
  bool heard = false;
  int64_t watch_id = kNoWatch;
  int64_t probe_id = kNoWatch;
  uint64_t cluster_id = 0;
  std::vector<Event> begun;  // of a revision of which more may come

 private:
  base::Status TryOpen();
  // Whether Read returns it.
  base::StatusOr<bool> Concerns(const WatchResponse& response);
  bool Created(const WatchResponse& response);
  base::Status Broken();
  base::Status AwaitStatus();
  base::Status Leave(base::Status status);
};

base::Status Watch::Stream::Open() {
  if (over) return base::CancelledError("the watch is over");
  if (stream != nullptr) return base::OkStatus();
  base::Status status = TryOpen();
  if (status.ok()) return status;
  over = true;
  writer.Stop();
  return Leave(std::move(status));
}

base::Status Watch::Stream::TryOpen() {
  // A member that lost its leader ends the stream instead of staying silent (etcd v3rpc
  // interceptor). One that stands by may stay: its process goes on.
  if (where == Where::kShared) context.AddMetadata("hasleader", "true");
  const auto connected =
      where == Where::kShared ? endpoint.AwaitConnection(end) : endpoint.Dial(end);
  if (!connected.ok()) return At(endpoint.url, connected.status());
  connection = *connected;
  STRATA_ASSIGN_OR_RETURN(
      const std::string token,
      client.Token(endpoint, steady_clock::now() + endpoint.options.dial_timeout, end));
  if (!token.empty()) context.AddMetadata("token", token);
  // Blocks while the peer takes no call; one that was cancelled before is over at once.
  stream = connection->watch->Watch(&context);
  return At(endpoint.url, writer.Start(*stream, first, options));
}

base::Status Watch::Stream::Leave(base::Status status) {
  client.Leave(endpoint);
  if (IsTokensFault(status)) client.ForgetToken();
  return status;
}

// After a message that doesn't parse gRPC reads no more, and leaves the stream open: the server,
// which knows nothing of it, would have to end it.
base::Status Watch::Stream::AwaitStatus() {
  const Limit limit(context, steady_clock::now() + kStatusPatience);
  writer.End();
  const grpc::Status said = stream->Finish();
  stream.reset();
  if (limit.over())
    return base::UnavailableError("a message of the watch stream is none of etcd's");
  const base::Status status = connection->Explain(FromGrpc(said));
  return status.ok() ? base::UnavailableError("the watch stream ended") : status;
}

void Watch::Stream::Abandon() {
  client.Leave(endpoint);
  endpoint.Drop(connection);
}

base::Status Watch::Stream::Unanswered() {
  Abandon();
  return At(endpoint.url, base::UnavailableError("a watch isn't answered"));
}

base::Status Watch::Stream::Broken() {
  over = true;
  const base::Status status = AwaitStatus();
  // A server that ends a stream which has been of use may well keep the connection.
  if (IsConnectionsFault(status) && (!heard || connection->over())) endpoint.Drop(connection);
  return Leave(At(endpoint.url, status));
}

base::StatusOr<WatchResponse> Watch::Stream::Read() {
  while (true) {
    WatchResponse response;
    if (!stream->Read(&response)) return Broken();
    heard = true;
    STRATA_ASSIGN_OR_RETURN(const bool concerns, Concerns(response));
    if (concerns) return response;
  }
}

base::StatusOr<bool> Watch::Stream::Concerns(const WatchResponse& response) {
  const int64_t id = response.watch_id();
  if (response.compact_revision() != 0) {
    return base::OutOfRangeError(fmt::format("etcd {}: compacted up to revision {}", endpoint.url,
                                             response.compact_revision()));
  }
  if (response.canceled()) {
    if (!response.created() && id != watch_id && id != probe_id) return false;  // a sign of life's
    // It may be for an old token, or of this member alone; the reason's text is all that tells.
    client.ForgetToken();
    client.Leave(endpoint);
    return base::UnavailableError(fmt::format("etcd {}: the watch was cancelled: {}", endpoint.url,
                                              base::Printable(response.cancel_reason(), 200)));
  }
  if (response.created()) return Created(response);
  // etcd may send the stream's progress ahead of a confirmation, and of the events before it.
  return watch_id != kNoWatch && (id == watch_id || id == kNoWatch);
}

bool Watch::Stream::Created(const WatchResponse& response) {
  const auto what = writer.Created(response.watch_id());
  if (!what) return false;
  if (*what == Asked::kProbe) {
    probe_id = response.watch_id();
    cluster_id = response.header().cluster_id();
  }
  if (*what == Asked::kWatch) watch_id = response.watch_id();
  return true;
}

base::Status Watch::Stream::Take(WatchResponse& response, WatchMessage& message) const {
  // A notification of progress counts only by itself: a response with events may be one of many
  // that catch up.
  if (response.events_size() == 0 && !response.created())
    message.revision = response.header().revision();
  for (auto& event : *response.mutable_events()) {
    // What a later etcd might say isn't guessed at.
    if (event.type() != mvccpb::Event::PUT && event.type() != mvccpb::Event::DELETE) {
      return base::UnavailableError(fmt::format("etcd {}: a watch event of the unknown type {}",
                                                endpoint.url, static_cast<int>(event.type())));
    }
    auto& kv = *event.mutable_kv();
    const bool put = event.type() == mvccpb::Event::PUT;
    message.revision = kv.mod_revision();
    message.events.push_back({put ? Event::Type::kPut : Event::Type::kDelete,
                              std::move(*kv.mutable_key()), std::move(*kv.mutable_value()),
                              kv.mod_revision(), put && kv.create_revision() == kv.mod_revision()});
  }
  return base::OkStatus();
}

bool Watch::Stream::KeepLastRevision(WatchMessage& message) {
  auto& events = message.events;
  if (events.empty() || events.front().revision == events.back().revision) return false;
  auto last = events.end();
  while (std::prev(last)->revision == message.revision) --last;
  begun.assign(std::make_move_iterator(last), std::make_move_iterator(events.end()));
  events.erase(last, events.end());
  message.revision = events.back().revision;
  return true;
}

std::unique_ptr<Watch> Client::OpenWatch(const WatchOptions& options) {
  using Stream = Watch::Stream;
  return std::unique_ptr<Watch>(new Watch(std::make_unique<Stream>(
      *this, current(), Stream::Where::kShared, Stream::Asked::kWatch, options)));
}

std::unique_ptr<Watch> Client::OpenStream(const std::string& probe) {
  using Stream = Watch::Stream;
  return std::unique_ptr<Watch>(
      new Watch(std::make_unique<Stream>(*this, current(), Stream::Where::kShared,
                                         Stream::Asked::kProbe, WatchOptions{.key = probe})));
}

std::unique_ptr<Watch> Client::OpenStreamBeside(const Watch& watch, const std::string& probe,
                                                size_t turn) {
  using Stream = Watch::Stream;
  Endpoint& taken = watch.stream_->endpoint;
  if (!taken.dialled) return nullptr;
  std::vector<Endpoint*> others;
  for (const auto& endpoint : endpoints_) {
    if (endpoint.get() != &taken) others.push_back(endpoint.get());
  }
  Endpoint& chosen = others.empty() ? taken : *others[turn % others.size()];
  return std::unique_ptr<Watch>(new Watch(std::make_unique<Stream>(
      *this, chosen, Stream::Where::kApart, Stream::Asked::kProbe, WatchOptions{.key = probe})));
}

Watch::Watch(std::unique_ptr<Stream> stream) : stream_(std::move(stream)) {}

Watch::~Watch() {
  Cancel();
  stream_->writer.End();
  if (stream_->stream != nullptr) stream_->stream->Finish();
}

base::StatusOr<uint64_t> Watch::AwaitOpen(base::MonotonicTime deadline) {
  const Limit limit(stream_->context, deadline);
  STRATA_RETURN_IF_ERROR(stream_->Open());
  const auto answer = [&](base::MonotonicTime end) -> base::StatusOr<uint64_t> {
    const Limit patient(stream_->context, end);
    while (stream_->probe_id == kNoWatch) {
      const auto read = stream_->Read();
      if (!read.ok()) return limit.over() || patient.over() ? stream_->Unanswered() : read.status();
    }
    return stream_->cluster_id;
  };
  return stream_->endpoint.answering.Try(answer);
}

base::StatusOr<WatchMessage> Watch::Begin(const WatchOptions& options,
                                          base::MonotonicTime deadline) {
  Ask(options);
  const Limit limit(stream_->context, deadline);
  auto first = Next();
  return first.ok() || !limit.over() ? std::move(first) : stream_->Unanswered();
}

void Watch::Ask(const WatchOptions& options) {
  stream_->writer.Create(Stream::Asked::kWatch, options);
}

// A response may be of a thousand revisions: each fragment gives those that are whole.
base::StatusOr<WatchMessage> Watch::Next() {
  STRATA_RETURN_IF_ERROR(stream_->Open());
  WatchMessage message{.events = std::exchange(stream_->begun, {})};
  size_t bytes = 0, counted = 0;
  while (true) {
    STRATA_ASSIGN_OR_RETURN(WatchResponse response, stream_->Read());
    // What comes between fragments isn't theirs.
    if (response.events_size() == 0 && !message.events.empty()) continue;
    STRATA_RETURN_IF_ERROR(stream_->Take(response, message));
    if (!response.fragment() || stream_->KeepLastRevision(message)) return message;
    for (; counted < message.events.size(); ++counted) bytes += BytesOf(message.events[counted]);
    const size_t most = stream_->endpoint.options.max_revision_bytes;
    if (bytes > most) {
      return base::ResourceExhaustedError(fmt::format(
          "etcd {}: a revision of more than {} bytes of events", stream_->endpoint.url, most));
    }
  }
}

void Watch::RequestProgress() {
  stream_->writer.RequestProgress();
}

uint64_t Watch::Poke() {
  return stream_->writer.AskForSign();
}

bool Watch::AwaitSign(uint64_t sign, base::MonotonicTime deadline) {
  return stream_->writer.AwaitSign(sign, deadline);
}

bool Watch::Ping(base::MonotonicTime deadline) {
  return AwaitSign(Poke(), deadline);
}

base::StatusOr<std::string> Watch::Version(base::MonotonicTime deadline,
                                           Cancellation* cancellation) {
  grpc::ClientContext context;
  context.set_deadline(WallDeadline(deadline));
  etcdserverpb::StatusResponse response;
  CallEnd end;
  const base::Status said = Client::Cancellable(
      cancellation, [&] { end.Set(); },
      [&] {
        return FromGrpc(end.Run(context, [&] {
          return stream_->connection->maintenance->Status(&context, {}, &response);
        }));
      });
  if (IsAnswer(said)) return said.ok() ? response.version() : std::string();
  stream_->Abandon();
  return At(stream_->endpoint.url, said);
}

void Watch::GiveUp() {
  stream_->Abandon();
  Cancel();
}

void Watch::Cancel() {
  stream_->end.Set();
  stream_->context.TryCancel();
  stream_->writer.Stop();
}

}  // namespace strata::client

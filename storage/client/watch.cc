#include "storage/client/watch.h"

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <fmt/format.h>
#include <grpcpp/support/sync_stream.h>

#include <utility>

#include "base/bytes.h"
#include "storage/client/channel.h"

namespace strata::client {
namespace {

// Joined fragments of one message: more than any transaction can hold.
constexpr size_t kMaxFragmentBytes = 1u << 30;

}  // namespace

// Opened by the first Next, so that Cancel ends whatever it waits for.
struct Watch::Stream {
  // Members in the order of their construction: the context outlives the stream.
  Client& client;
  Client::Endpoint& endpoint;
  const WatchOptions options;
  CallEnd end;
  std::shared_ptr<const Connection> connection;
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReaderWriter<etcdserverpb::WatchRequest, etcdserverpb::WatchResponse>>
      stream;
  bool heard = false;    // the reading thread's own
  absl::Mutex write_mu;  // gRPC allows one write at a time
  enum class Phase { kNew, kOpen, kOver };
  Phase phase ABSL_GUARDED_BY(write_mu) = Phase::kNew;

  Stream(Client& c, Client::Endpoint& e, const WatchOptions& o)
      : client(c), endpoint(e), options(o) {}

  base::Status Open() {
    const base::Status status = TryOpen();
    if (status.ok()) return status;
    {
      absl::MutexLock lock(&write_mu);
      phase = Phase::kOver;
    }
    return Left(status);
  }

  base::Status Broken() {
    {
      absl::MutexLock lock(&write_mu);
      phase = Phase::kOver;
    }
    const grpc::Status said = stream->Finish();
    base::Status status = connection->Explain(FromGrpc(said));
    if (status.ok()) status = base::UnavailableError("the watch stream ended");
    // A server that ends a stream which has been of use may well keep the connection.
    if (IsConnectionsFault(status) && (!heard || connection->over())) endpoint.Drop(connection);
    return Left(At(endpoint.url, status));
  }

 private:
  base::Status TryOpen() {
    // A member that lost its leader ends the stream instead of staying silent (etcd v3rpc
    // interceptor).
    context.AddMetadata("hasleader", "true");
    bool fresh = false;
    const auto connected = endpoint.Connect(end, base::MonotonicTime::max(), fresh);
    if (!connected.ok()) return At(endpoint.url, connected.status());
    connection = *connected;
    STRATA_ASSIGN_OR_RETURN(
        const std::string token,
        client.Token(endpoint, end,
                     std::chrono::steady_clock::now() + endpoint.options.dial_timeout));
    if (!token.empty()) context.AddMetadata("token", token);
    etcdserverpb::WatchRequest request;
    auto* create = request.mutable_create_request();
    create->set_key(options.key);
    create->set_range_end(options.end);
    create->set_start_revision(options.start);
    create->set_fragment(true);
    create->set_progress_notify(true);
    stream = connection->watch->Watch(&context);
    absl::MutexLock lock(&write_mu);
    stream->Write(request);
    phase = Phase::kOpen;
    return base::OkStatus();
  }

  base::Status Left(base::Status status) {
    client.Leave(endpoint);
    if (IsTokensFault(status)) client.ForgetToken();
    return status;
  }
};

std::unique_ptr<Watch> Client::OpenWatch(const WatchOptions& options) {
  return std::unique_ptr<Watch>(
      new Watch(std::make_unique<Watch::Stream>(*this, current(), options)));
}

Watch::Watch(std::unique_ptr<Stream> stream) : stream_(std::move(stream)) {}

Watch::~Watch() {
  Cancel();
  if (stream_->stream == nullptr) return;
  bool open;
  {
    absl::MutexLock lock(&stream_->write_mu);
    open = std::exchange(stream_->phase, Stream::Phase::kOver) == Stream::Phase::kOpen;
  }
  if (open) stream_->stream->Finish();
}

base::StatusOr<WatchMessage> Watch::Next() {
  Stream::Phase phase;
  {
    absl::MutexLock lock(&stream_->write_mu);
    phase = stream_->phase;
  }
  if (phase == Stream::Phase::kOver) return base::CancelledError("the watch is over");
  if (phase == Stream::Phase::kNew) STRATA_RETURN_IF_ERROR(stream_->Open());
  WatchMessage message;
  size_t bytes = 0;
  for (bool complete = false; !complete;) {
    etcdserverpb::WatchResponse response;
    if (!stream_->stream->Read(&response)) return stream_->Broken();
    stream_->heard = true;
    if (response.compact_revision() != 0) {
      return base::OutOfRangeError(fmt::format("etcd {}: compacted up to revision {}",
                                               stream_->endpoint.url, response.compact_revision()));
    }
    if (response.canceled()) {
      // It may be for an old token, or of this member alone; the reason's text is all that tells.
      stream_->client.ForgetToken();
      stream_->client.Leave(stream_->endpoint);
      return base::UnavailableError(fmt::format("etcd {}: the watch was cancelled: {}",
                                                stream_->endpoint.url,
                                                base::Printable(response.cancel_reason(), 200)));
    }
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
  etcdserverpb::WatchRequest request;
  request.mutable_progress_request();
  // A write blocks while the peer takes nothing: one thread is enough to wait for it.
  if (!stream_->write_mu.TryLock()) return;
  if (stream_->phase == Stream::Phase::kOpen) stream_->stream->Write(request);
  stream_->write_mu.Unlock();
}

void Watch::Cancel() {
  stream_->end.Set();
  stream_->context.TryCancel();
}

}  // namespace strata::client

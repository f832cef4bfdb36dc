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

struct Watch::Stream {
  // Members in the order of their construction: the context outlives the stream.
  Client& client;
  Client::Endpoint& endpoint;
  grpc::ClientContext context;
  base::Status opened;
  std::unique_ptr<grpc::ClientReaderWriter<etcdserverpb::WatchRequest, etcdserverpb::WatchResponse>>
      stream;
  absl::Mutex write_mu;  // gRPC allows one write at a time
  bool broken ABSL_GUARDED_BY(write_mu) = false;

  Stream(Client& c, Client::Endpoint& e) : client(c), endpoint(e) {}

  base::Status Broken() {
    {
      absl::MutexLock lock(&write_mu);
      broken = true;
    }
    const grpc::Status status = stream->Finish();
    client.Leave(endpoint);
    if (status.ok())
      return base::UnavailableError(fmt::format("etcd {}: the watch stream ended", endpoint.url));
    const base::Status error = FromGrpc(status, endpoint.url);
    if (IsTokensFault(error)) client.ForgetToken();
    return error;
  }
};

std::unique_ptr<Watch> Client::OpenWatch(const WatchOptions& options) {
  auto stream = std::make_unique<Watch::Stream>(*this, current());
  // A member that lost its leader ends the stream instead of staying silent (etcd v3rpc
  // interceptor).
  stream->context.AddMetadata("hasleader", "true");
  stream->context.set_wait_for_ready(false);
  stream->endpoint.AwaitConnection(base::MonotonicTime::max());
  const auto token = Token(stream->endpoint, base::MonotonicTime::max());
  stream->opened = token.status();
  if (token.ok()) {
    if (!token->empty()) stream->context.AddMetadata("token", *token);
    stream->stream = stream->endpoint.watch->Watch(&stream->context);
    etcdserverpb::WatchRequest request;
    auto* create = request.mutable_create_request();
    create->set_key(options.key);
    create->set_range_end(options.end);
    create->set_start_revision(options.start);
    create->set_fragment(true);
    create->set_progress_notify(true);
    absl::MutexLock lock(&stream->write_mu);
    stream->stream->Write(request);
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

base::StatusOr<WatchMessage> Watch::Next() {
  if (!stream_->opened.ok()) return stream_->opened;
  {
    absl::MutexLock lock(&stream_->write_mu);
    if (stream_->broken) return base::CancelledError("the watch is over");
  }
  WatchMessage message;
  size_t bytes = 0;
  for (bool complete = false; !complete;) {
    etcdserverpb::WatchResponse response;
    if (!stream_->stream->Read(&response)) return stream_->Broken();
    if (response.compact_revision() != 0) {
      return base::OutOfRangeError(fmt::format("etcd {}: compacted up to revision {}",
                                               stream_->endpoint.url, response.compact_revision()));
    }
    if (response.canceled()) {
      // It may be for an old token; the reason's text is all that tells.
      stream_->client.ForgetToken();
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
  if (stream_->stream == nullptr) return;
  etcdserverpb::WatchRequest request;
  request.mutable_progress_request();
  // A write blocks while the peer takes nothing: one thread is enough to wait for it.
  if (!stream_->write_mu.TryLock()) return;
  if (!stream_->broken) stream_->stream->Write(request);
  stream_->write_mu.Unlock();
}

void Watch::Cancel() {
  stream_->context.TryCancel();
}

}  // namespace strata::client

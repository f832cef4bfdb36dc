#include "storage/client/channel.h"

#include <absl/synchronization/notification.h>
#include <absl/time/time.h>
#include <fmt/format.h>
#include <grpcpp/create_channel.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <thread>
#include <utility>

#include "lib/base/bytes.h"
#include "lib/transport/net/wait.h"

namespace strata::client {
namespace {

// How gRPC says that what came has no grpc-status (http_client_filter.cc).
constexpr std::string_view kHttpAnswer = "Received http2 header with status: ";
// And that the stream was reset (chttp2 frame_rst_stream.cc), whose number it makes any of etcd's
// codes.
constexpr std::string_view kReset = "Received RST_STREAM with error code ";

// For two threads to begin, however busy the machine is.
constexpr absl::Duration kThreadPatience = absl::Seconds(20);

}  // namespace

void CallEnd::Set() {
  absl::MutexLock lock(&mu_);
  set_ = true;
  if (stop_ != nullptr) stop_();
  stop_ = nullptr;
}

bool CallEnd::set() const {
  absl::MutexLock lock(&mu_);
  return set_;
}

bool CallEnd::Arm(std::function<void()> stop) {
  absl::MutexLock lock(&mu_);
  if (!set_) stop_ = std::move(stop);
  return !set_;
}

void CallEnd::Disarm() {
  absl::MutexLock lock(&mu_);
  stop_ = nullptr;
}

Connection::Connection(const std::shared_ptr<grpc::Channel>& channel,
                       std::unique_ptr<net::Tunnel> t, int s)
    : tunnel(std::move(t)),
      socket(s),
      kv(etcdserverpb::KV::NewStub(channel)),
      watch(etcdserverpb::Watch::NewStub(channel)),
      maintenance(etcdserverpb::Maintenance::NewStub(channel)),
      auth(etcdserverpb::Auth::NewStub(channel)) {}

Connection::~Connection() {
  if (socket >= 0) close(socket);
}

bool Connection::over() const {
  if (socket < 0) return false;
  pollfd polled{socket, POLLRDHUP, 0};
  return poll(&polled, 1, 0) > 0;
}

base::Status Connection::Explain(const base::Status& error) const {
  if (!absl::IsUnavailable(error) || tunnel == nullptr) return error;
  const base::Status ended = tunnel->ended();
  return ended.ok() ? error : ended;
}

// A channel that leads nowhere, on which a call has failed.
std::shared_ptr<grpc::Channel> KeepCallbackThreads() {
  struct Call {
    grpc::ClientContext context;
    etcdserverpb::StatusRequest request;
    etcdserverpb::StatusResponse response;
    absl::Notification over;
  };
  // Throws where threads are denied. gRPC goes on without them, and never calls back.
  std::thread([] {}).join();
  auto channel = grpc::CreateChannel("", nullptr);
  // Its context holds the channel, and must not be the last that does where it is called back.
  auto call = std::make_unique<Call>();
  etcdserverpb::Maintenance::NewStub(channel)->async()->Status(
      &call->context, &call->request, &call->response,
      [over = &call->over](const grpc::Status&) { over->Notify(); });
  if (!call->over.WaitForNotificationWithTimeout(kThreadPatience)) {
    static_cast<void>(call.release());  // it may be called back yet
    throw std::system_error(EAGAIN, std::generic_category(), "gRPC's threads");
  }
  return channel;
}

std::chrono::system_clock::time_point WallDeadline(base::MonotonicTime deadline) {
  return std::chrono::system_clock::now() + net::Left(deadline);
}

bool IsTokensFault(const base::Status& status) {
  return status.code() == base::StatusCode::kUnauthenticated ||
         base::Message(status).find("revision of auth store is old") != std::string_view::npos;
}

bool IsMetadata(std::string_view value) {
  return std::ranges::all_of(value, [](char c) { return c >= ' ' && c <= '~'; });
}

bool IsEndpointsFault(const base::Status& status) {
  switch (status.code()) {
    case base::StatusCode::kUnavailable:
    case base::StatusCode::kDeadlineExceeded:
    case base::StatusCode::kDataLoss:  // of one member's disk
    // What gRPC makes of bytes that are no answer; etcd's own errors have other codes.
    case base::StatusCode::kInternal:
    case base::StatusCode::kUnknown:
    case base::StatusCode::kUnimplemented:
      return true;
    default:
      return base::Message(status).find("not supported for learner") != std::string_view::npos;
  }
}

bool IsAnswer(const base::Status& status) {
  if (absl::IsCancelled(status)) return false;  // it is we who say that
  return !IsEndpointsFault(status) || status.code() == base::StatusCode::kUnimplemented;
}

bool IsConnectionsFault(const base::Status& status) {
  return (absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
          absl::IsInternal(status)) &&
         !base::Message(status).starts_with("etcdserver: ");
}

base::Status At(const std::string& url, const base::Status& error) {
  if (error.ok()) return error;
  return base::Error(error.code(),
                     fmt::format("etcd {}: {}", url, base::Printable(base::Message(error), 600)));
}

base::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return base::OkStatus();
  const std::string& message = status.error_message();
  base::Status error = base::Error(static_cast<base::StatusCode>(status.error_code()), message);
  if (message.starts_with(kReset)) error = base::UnavailableError(message);
  if (IsHttpAnswer(status)) {
    error = base::UnavailableError(fmt::format("it answers HTTP status {}: that is no etcd",
                                               message.substr(kHttpAnswer.size())));
  }
  return error;
}

bool IsHttpAnswer(const grpc::Status& status) {
  return status.error_message().starts_with(kHttpAnswer);
}

}  // namespace strata::client

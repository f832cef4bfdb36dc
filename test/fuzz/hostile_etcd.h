// An etcd that answers with the messages that it is given, whatever they are.
#pragma once

#include <absl/synchronization/mutex.h>
#include <google/protobuf/stubs/logging.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <cstdlib>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "proto/etcd/rpc.pb.h"
#include "test/fuzz/input.h"

namespace strata::fuzz {

// A call is answered with the next message, a stream with all that are left; then it ends. What
// comes after the last one is Unavailable. Thread-safe.
class HostileEtcd final : private grpc::CallbackGenericService {
 public:
  HostileEtcd() {
    // Of each text that is no UTF-8 its reader would say so on stderr.
    google::protobuf::SetLogHandler(nullptr);
    grpc::ServerBuilder builder;
    builder.RegisterCallbackGenericService(this);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr) std::abort();
  }
  ~HostileEtcd() override { server_->Shutdown(); }

  std::shared_ptr<grpc::Channel> Channel() { return server_->InProcessChannel({}); }

  void WillSay(std::deque<std::string> messages) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    messages_ = std::move(messages);
  }

 private:
  class Answer final : public grpc::ServerGenericBidiReactor {
   public:
    Answer(HostileEtcd& etcd, bool stream) : etcd_(etcd), stream_(stream) { StartRead(&request_); }
    // What else the client says is read, since it waits for that, and doesn't count.
    void OnReadDone(bool ok) override {
      const bool first = !std::exchange(begun_, true);
      if (ok) StartRead(&request_);
      if (first) GoOn();
    }
    void OnWriteDone(bool ok) override {
      if (!ok || !stream_) return Finish(grpc::Status::OK);
      GoOn();
    }
    void OnDone() override { delete this; }

   private:
    void GoOn() {
      const std::optional<std::string> message = etcd_.Next();
      if (!message) return Finish({grpc::StatusCode::UNAVAILABLE, "that was all"});
      const grpc::Slice slice(*message);
      answer_ = grpc::ByteBuffer(&slice, 1);
      StartWrite(&answer_);
    }

    HostileEtcd& etcd_;
    const bool stream_;
    bool begun_ = false;
    grpc::ByteBuffer request_, answer_;
  };

  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    return new Answer(*this, context->method() == "/etcdserverpb.Watch/Watch");
  }

  std::optional<std::string> Next() ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    if (messages_.empty()) return std::nullopt;
    std::string message = std::move(messages_.front());
    messages_.pop_front();
    return message;
  }

  absl::Mutex mu_;
  std::deque<std::string> messages_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<grpc::Server> server_;
};

// The input's own, or a page that goes on behind its keys.
inline std::string PageOf(Input& input) {
  const uint8_t keys = input.Byte();
  if (keys == 0) return std::string(input.Text());
  etcdserverpb::RangeResponse page;
  page.mutable_header()->set_revision(9);
  for (int i = keys % 4; i > 0; --i) {
    auto& kv = *page.add_kvs();
    kv.set_key("/openshift.io/images/" + std::string(input.Text()));
    kv.set_value(std::string(input.Text()));
    kv.set_mod_revision(input.Byte());
  }
  page.set_more((keys & 0x40) != 0);
  page.set_count(static_cast<int8_t>(input.Byte()) * int64_t{1} << (keys >> 4 & 3) * 20);
  return page.SerializeAsString();
}

inline std::string WatchMessageOf(Input& input) {
  const uint8_t what = input.Byte();
  if (what == 0) return std::string(input.Text());
  etcdserverpb::WatchResponse message;
  message.mutable_header()->set_revision(input.Byte());
  message.set_created((what & 1) != 0);
  message.set_fragment((what & 2) != 0);
  message.set_canceled((what & 0xfc) == 0xfc);
  for (int i = what >> 2 & 3; i > 0; --i) {
    auto& event = *message.add_events();
    event.set_type(input.Byte() % 2 == 0 ? mvccpb::Event::PUT : mvccpb::Event::DELETE);
    event.mutable_kv()->set_key(std::string(input.Text()));
    event.mutable_kv()->set_mod_revision(input.Byte());
  }
  return message.SerializeAsString();
}

}  // namespace strata::fuzz

// Any bytes as the messages of any call of a real store's server: the call ends once its client has
// nothing more to say.
#include <google/protobuf/stubs/logging.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "storage/engine/store.h"
#include "storage/rpc/server.h"
#include "test/fuzz/input.h"
#include "test/fuzz/memory_dir.h"

namespace {

using namespace strata;

constexpr std::array kMethods = {
    "/etcdserverpb.Watch/Watch",
    "/etcdserverpb.Lease/LeaseKeepAlive",
    "/etcdserverpb.Watch/Watch",
    "/etcdserverpb.KV/Range",
    "/etcdserverpb.KV/Put",
    "/etcdserverpb.KV/DeleteRange",
    "/etcdserverpb.KV/Txn",
    "/etcdserverpb.KV/Compact",
    "/etcdserverpb.Lease/LeaseGrant",
    "/etcdserverpb.Lease/LeaseRevoke",
    "/etcdserverpb.Lease/LeaseTimeToLive",
    "/etcdserverpb.Lease/LeaseLeases",
    "/etcdserverpb.Cluster/MemberList",
    "/etcdserverpb.Maintenance/Status",
    "/etcdserverpb.Maintenance/Hash",
    "/etcdserverpb.Maintenance/HashKV",
    "/etcdserverpb.Maintenance/Snapshot",
    "/etcdserverpb.Maintenance/Alarm",
    "/etcdserverpb.Auth/Authenticate",
    "/etcdserverpb.Maintenance/MoveLeader",
};

struct World {
  World() {
    google::protobuf::SetLogHandler(nullptr);  // as the store has it
    auto opened = engine::Store::Open(dir.path(), {}, clock, obs::NullLogger(), metrics);
    if (!opened.ok()) std::abort();
    store = *std::move(opened);
    for (int i = 0; i < 5; ++i) (void)store->Put({.key = "k" + std::to_string(i), .value = "v"});
    // gRPC 1.51's channel within a process keeps for ever what a call that ends early leaves
    // unread.
    server = std::make_unique<rpc::Server>(
        *store, rpc::Options{.listen_urls = {"http://127.0.0.1:0"}}, obs::NullLogger(), metrics);
    if (!server->Start().ok()) std::abort();
    const std::string address = server->urls()[0].substr(std::string_view("http://").size());
    stub = std::make_unique<grpc::GenericStub>(
        grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  }

  const fuzz::MemoryDir dir;
  const base::FakeClock clock;
  obs::Metrics metrics;
  std::unique_ptr<engine::Store> store;
  std::unique_ptr<rpc::Server> server;
  std::unique_ptr<grpc::GenericStub> stub;
};

// Answers are read all the time: a server that can't send one takes no more messages.
class Call {
 public:
  Call(World& world, const char* method) {
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::minutes(1));
    stream_ = world.stub->PrepareCall(&context_, method, &queue_);
    stream_->StartCall(&said_);
    if (Await(&said_)) Read();
  }
  ~Call() {
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }

  void Say(std::string_view bytes) {
    if (!open_) return;
    const grpc::Slice slice(bytes.data(), bytes.size());
    stream_->Write(grpc::ByteBuffer(&slice, 1), &said_);
    if (!Await(&said_)) open_ = false;
  }

  grpc::Status End() {
    stream_->WritesDone(&said_);
    (void)Await(&said_);
    while (reading_) (void)Await(&answer_);
    grpc::Status status;
    stream_->Finish(&status, &said_);
    (void)Await(&said_);
    return status;
  }

 private:
  void Read() {
    reading_ = true;
    stream_->Read(&answer_, &answer_);
  }

  // Until that has happened; whether it could.
  bool Await(void* what) {
    while (true) {
      void* tag = nullptr;
      bool ok = false;
      if (!queue_.Next(&tag, &ok)) std::abort();
      if (tag == &answer_) {
        reading_ = false;
        if (ok) Read();
      }
      if (tag == what) return ok;
    }
  }

  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
  grpc::ByteBuffer answer_;  // and the tag of reading it
  bool said_ = false;        // a tag alone
  bool reading_ = false, open_ = true;
};

}  // namespace

// gRPC's threads live as long as the process, and OpenSSL's state of one has lost its last pointer
// when LeakSanitizer looks, behind the end of main.
// NOLINTNEXTLINE(bugprone-reserved-identifier): the sanitizer's
extern "C" const char* __lsan_default_suppressions();
// NOLINTNEXTLINE(bugprone-reserved-identifier)
extern "C" const char* __lsan_default_suppressions() {
  return "leak:CRYPTO_zalloc\n";
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static World world;
  fuzz::Input input(data, size);
  Call call(world, kMethods[input.Byte() % kMethods.size()]);
  for (int i = 0; i < 16 && !input.empty(); ++i) call.Say(input.Text());
  if (call.End().error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) std::abort();
  return 0;
}

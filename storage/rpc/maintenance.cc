#include "storage/rpc/maintenance.h"

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "lib/base/owned.h"
#include "lib/base/thread.h"
#include "storage/engine/snapshot.h"
#include "storage/rpc/respond.h"

namespace strata::rpc {
namespace {

namespace pb = etcdserverpb;
using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;

constexpr std::pair<engine::Alarm, pb::AlarmType> kAlarms[] = {
    {engine::Alarm::kNoSpace, pb::NOSPACE}, {engine::Alarm::kCorrupt, pb::CORRUPT}};

}  // namespace

void MaintenanceService::AddAlarm(pb::AlarmType alarm, pb::AlarmResponse* response) const {
  auto* added = response->add_alarms();
  added->set_memberid(identity_.member_id);
  added->set_alarm(alarm);
}

ServerUnaryReactor* MaintenanceService::Alarm(CallbackServerContext* context,
                                              const pb::AlarmRequest* request,
                                              pb::AlarmResponse* response) {
  const bool lists = request->action() == pb::AlarmRequest::GET;
  const bool ours = request->memberid() == 0 || request->memberid() == identity_.member_id;
  if (lists || request->alarm() == pb::NONE || !ours) {
    for (const auto& [alarm, wire] : kAlarms) {
      const bool wanted = request->alarm() == pb::NONE || request->alarm() == wire;
      if (lists && wanted && store_.has_alarm(alarm)) AddAlarm(wire, response);
    }
    identity_.Fill(response->mutable_header(), store_.revision());
    return Finish(context, grpc::Status::OK);
  }
  const auto* named = std::find_if(std::begin(kAlarms), std::end(kAlarms),
                                   [&](const auto& one) { return one.second == request->alarm(); });
  if (named == std::end(kAlarms))
    return Finish(context, {grpc::StatusCode::INVALID_ARGUMENT, "there is no such alarm"});
  auto* reactor = context->DefaultReactor();
  store_.Submit(
      engine::AlarmRequest{.alarm = named->first,
                           .raise = request->action() == pb::AlarmRequest::ACTIVATE},
      [this, reactor, response, wire = named->second](base::StatusOr<engine::AlarmResult> result) {
        if (!result.ok()) return reactor->Finish(ToGrpc(result.status()));
        if (result->changed) AddAlarm(wire, response);
        identity_.Fill(response->mutable_header(), result->revision);
        reactor->Finish(grpc::Status::OK);
      });
  return reactor;
}

ServerUnaryReactor* MaintenanceService::Status(CallbackServerContext* context,
                                               const pb::StatusRequest* /*request*/,
                                               pb::StatusResponse* response) {
  const auto status = store_.Status();
  if (!status.ok()) return Finish(context, ToGrpc(status.status()));
  identity_.Fill(response->mutable_header(), status->revision);
  response->set_version(kApiVersion);
  response->set_storageversion(kStorageVersion);
  response->set_dbsize(status->size);
  response->set_dbsizeinuse(status->size_in_use);
  response->set_leader(identity_.member_id);
  // There is no log of its own: the revision is what grows with every write.
  response->set_raftindex(static_cast<uint64_t>(status->revision));
  response->set_raftappliedindex(static_cast<uint64_t>(status->revision));
  response->set_raftterm(Identity::kTerm);
  response->set_dbsizequota(store_.options().quota_bytes);
  for (const auto& [alarm, wire] : kAlarms) {
    if (!store_.has_alarm(alarm)) continue;
    response->add_errors(
        fmt::format("memberID:{} alarm:{} ", identity_.member_id, pb::AlarmType_Name(wire)));
  }
  return Finish(context, grpc::Status::OK);
}

ServerUnaryReactor* MaintenanceService::Hash(CallbackServerContext* context,
                                             const pb::HashRequest* /*request*/,
                                             pb::HashResponse* response) {
  const auto hash = store_.Hash(0);
  if (!hash.ok()) return Finish(context, ToGrpc(hash.status()));
  identity_.Fill(response->mutable_header(), hash->revision);
  response->set_hash(hash->hash);
  return Finish(context, grpc::Status::OK);
}

ServerUnaryReactor* MaintenanceService::HashKV(CallbackServerContext* context,
                                               const pb::HashKVRequest* request,
                                               pb::HashKVResponse* response) {
  const auto hash = store_.Hash(request->revision());
  if (!hash.ok()) return Finish(context, ToGrpc(hash.status()));
  identity_.Fill(response->mutable_header(), hash->revision);
  response->set_hash(hash->hash);
  response->set_compact_revision(hash->compact_revision);
  response->set_hash_revision(hash->hash_revision);
  return Finish(context, grpc::Status::OK);
}

namespace {

// Sends a snapshot in pieces and its SHA-256 behind it, as etcd does (v3rpc/maintenance.go). The
// copy is made on a thread of its own, for it waits on the disk; then that thread looks whether the
// client takes what it asked for.
class SnapshotStream final : public grpc::ServerWriteReactor<pb::SnapshotResponse> {
 public:
  SnapshotStream(const engine::Store& store, const Identity& identity, std::atomic<bool>& busy,
                 CallbackServerContext& context, absl::Duration patience)
      : store_(store), busy_(busy), digest_(EVP_MD_CTX_new()) {
    if (busy_.exchange(true)) {
      Finish({grpc::StatusCode::RESOURCE_EXHAUSTED, "another snapshot is being sent"});
      return;
    }
    identity.Fill(response_.mutable_header(), store.revision());
    response_.set_version(kStorageVersion);
    EVP_DigestInit_ex2(digest_.get(), EVP_sha256(), nullptr);
    auto thread = base::StartThread([this, &context, patience, progress = progress_] {
      Copy();
      WatchOver(context, *progress, patience);
    });
    if (thread.ok()) {
      copying_ = *std::move(thread);
    } else {
      End({grpc::StatusCode::RESOURCE_EXHAUSTED,
           "a thread for the snapshot is denied; raise the limit of threads (pids.max of the "
           "cgroup, ulimit -u) or of memory, and ask again"});
    }
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return End(grpc::Status::CANCELLED);
    {
      absl::MutexLock lock(&progress_->mu);
      ++progress_->taken;
    }
    Next();
  }
  void OnDone() override {
    {
      absl::MutexLock lock(&progress_->mu);
      progress_->over = true;
    }
    // gRPC may call this from within a call of that thread.
    if (copying_.get_id() == std::this_thread::get_id()) {
      copying_.detach();
    } else if (copying_.joinable()) {
      copying_.join();
    }
    delete this;
  }

 private:
  static constexpr size_t kPiece = 64 << 10;

  // Outlives the stream, which may end while its own thread still looks.
  struct Progress {
    absl::Mutex mu;
    uint64_t taken ABSL_GUARDED_BY(mu) = 0;  // pieces
    bool over ABSL_GUARDED_BY(mu) = false;
  };

  void Copy() {
    auto snapshot = store_.TakeSnapshot();
    auto size = snapshot.ok() ? (*snapshot)->size() : snapshot.status();
    if (!size.ok()) return End(ToGrpc(size.status()));
    snapshot_ = *std::move(snapshot);
    size_ = *size;
    Next();
  }

  static void WatchOver(CallbackServerContext& context, Progress& progress,
                        absl::Duration patience) {
    {
      absl::MutexLock lock(&progress.mu);
      for (uint64_t before = ~uint64_t{0}; before != progress.taken;) {
        before = progress.taken;
        if (progress.mu.AwaitWithTimeout(absl::Condition(&progress.over), patience)) return;
      }
    }
    // The stream waits for this thread, and the context for the stream.
    context.TryCancel();
  }

  // The way is free for the next one before the client knows that this one has ended.
  void End(const grpc::Status& status) {
    busy_ = false;
    Finish(status);
  }

  void Next() {
    if (ended_) return End(grpc::Status::OK);
    auto piece = snapshot_->Read(sent_, kPiece);
    if (!piece.ok()) return End(ToGrpc(piece.status()));
    if (piece->empty()) {
      piece->resize(EVP_MAX_MD_SIZE);
      unsigned length = 0;
      EVP_DigestFinal_ex(digest_.get(), reinterpret_cast<unsigned char*>(piece->data()), &length);
      piece->resize(length);
      ended_ = true;
    } else {
      EVP_DigestUpdate(digest_.get(), piece->data(), piece->size());
      sent_ += static_cast<int64_t>(piece->size());
    }
    response_.set_remaining_bytes(static_cast<uint64_t>(size_ - sent_));
    response_.set_blob(*std::move(piece));
    StartWrite(&response_);
  }

  const engine::Store& store_;
  std::atomic<bool>& busy_;
  const base::Owned<EVP_MD_CTX, EVP_MD_CTX_free> digest_;
  bool ended_ = false;
  std::unique_ptr<engine::Snapshot> snapshot_;
  int64_t size_ = 0, sent_ = 0;
  pb::SnapshotResponse response_;
  const std::shared_ptr<Progress> progress_ = std::make_shared<Progress>();
  std::thread copying_;
};

}  // namespace

grpc::ServerWriteReactor<pb::SnapshotResponse>* MaintenanceService::Snapshot(
    CallbackServerContext* context, const pb::SnapshotRequest* /*request*/) {
  return new SnapshotStream(store_, identity_, snapshotting_, *context, snapshot_patience_);
}

ServerUnaryReactor* MaintenanceService::Defragment(CallbackServerContext* context,
                                                   const pb::DefragmentRequest* /*request*/,
                                                   pb::DefragmentResponse* /*response*/) {
  auto* reactor = context->DefaultReactor();
  store_.Submit(engine::DefragmentRequest{},
                [reactor](const base::StatusOr<engine::DefragmentResult>& result) {
                  reactor->Finish(ToGrpc(result.status()));  // without a header, as etcd
                });
  return reactor;
}

}  // namespace strata::rpc

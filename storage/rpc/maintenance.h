// Looking after the store: status, alarms, hashes, snapshots, defragmentation.
#pragma once

#include <absl/time/time.h>

#include <atomic>

#include "proto/etcd/rpc.grpc.pb.h"
#include "storage/engine/store.h"
#include "storage/rpc/convert.h"

namespace strata::rpc {

// The etcd whose API this is, as Maintenance.Status says it: clients decide by it what a server can
// do.
inline constexpr char kApiVersion[] = "3.6.5";
inline constexpr char kStorageVersion[] = "3.6.0";

class MaintenanceService final : public etcdserverpb::Maintenance::CallbackService {
 public:
  // A snapshot whose client takes nothing for `snapshot_patience` is given up, since there is one
  // at a time.
  MaintenanceService(engine::Store& store, const Identity& identity,
                     absl::Duration snapshot_patience)
      : store_(store), identity_(identity), snapshot_patience_(snapshot_patience) {}

  grpc::ServerUnaryReactor* Alarm(grpc::CallbackServerContext* context,
                                  const etcdserverpb::AlarmRequest* request,
                                  etcdserverpb::AlarmResponse* response) override;
  grpc::ServerUnaryReactor* Status(grpc::CallbackServerContext* context,
                                   const etcdserverpb::StatusRequest* request,
                                   etcdserverpb::StatusResponse* response) override;
  grpc::ServerUnaryReactor* Hash(grpc::CallbackServerContext* context,
                                 const etcdserverpb::HashRequest* request,
                                 etcdserverpb::HashResponse* response) override;
  grpc::ServerUnaryReactor* HashKV(grpc::CallbackServerContext* context,
                                   const etcdserverpb::HashKVRequest* request,
                                   etcdserverpb::HashKVResponse* response) override;
  grpc::ServerWriteReactor<etcdserverpb::SnapshotResponse>* Snapshot(
      grpc::CallbackServerContext* context, const etcdserverpb::SnapshotRequest* request) override;
  grpc::ServerUnaryReactor* Defragment(grpc::CallbackServerContext* context,
                                       const etcdserverpb::DefragmentRequest* request,
                                       etcdserverpb::DefragmentResponse* response) override;

 private:
  void AddAlarm(etcdserverpb::AlarmType alarm, etcdserverpb::AlarmResponse* response) const;

  engine::Store& store_;
  const Identity identity_;
  const absl::Duration snapshot_patience_;
  std::atomic<bool> snapshotting_ = false;
};

}  // namespace strata::rpc

// Requests and their answers as etcd's messages have them.
#pragma once

#include "lib/base/status.h"
#include "proto/etcd/rpc.pb.h"
#include "storage/client/requests.h"

namespace strata::client {

etcdserverpb::RangeRequest Encode(const RangeOptions& options);
etcdserverpb::DeleteRangeRequest Encode(const DeleteOptions& options);
etcdserverpb::TxnRequest Encode(const Txn& txn);

RangeResult Decode(etcdserverpb::RangeResponse response);
DeleteResult Decode(const etcdserverpb::DeleteRangeResponse& response);
// Internal if it isn't what `txn` is answered with.
base::StatusOr<TxnResult> Decode(const Txn& txn, etcdserverpb::TxnResponse response);

}  // namespace strata::client

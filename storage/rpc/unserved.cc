#include "storage/rpc/unserved.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>

namespace strata::rpc {
namespace {

struct Unserved {
  std::string_view methods;  // those whose path begins so
  std::string_view why;
};

// etcd 3.6's services (api/etcdserverpb, server/etcdserver/api/v3lock and v3election).
constexpr Unserved kUnserved[] = {
    {"/etcdserverpb.Auth/",
     "etcdserver: this store has no users: authentication isn't served; use client certificates"},
    {"/etcdserverpb.Cluster/",
     "etcdserver: this store is a cluster of one: members aren't added, removed or changed"},
    {"/etcdserverpb.Maintenance/MoveLeader",
     "etcdserver: this store is a cluster of one: there is nobody else to lead it"},
    {"/etcdserverpb.Maintenance/Downgrade",
     "etcdserver: this store has no older version to go back to: dump and load move its records"},
    {"/v3lockpb.Lock/",
     "etcdserver: locks aren't served; make them of leases and transactions, as "
     "clientv3/concurrency does"},
    {"/v3electionpb.Election/",
     "etcdserver: elections aren't served; make them of leases and transactions, as "
     "clientv3/concurrency does"},
};

// Ends with that status. Deletes itself.
class Refusal final : public grpc::ServerGenericBidiReactor {
 public:
  explicit Refusal(std::string_view why) {
    Finish({grpc::StatusCode::UNIMPLEMENTED, std::string(why)});
  }
  void OnDone() override { delete this; }
};

}  // namespace

grpc::ServerGenericBidiReactor* UnservedCalls::CreateReactor(
    grpc::GenericCallbackServerContext* context) {
  const std::string_view method = context->method();
  const auto* found =
      std::find_if(std::begin(kUnserved), std::end(kUnserved),
                   [&](const Unserved& one) { return method.starts_with(one.methods); });
  return new Refusal(found == std::end(kUnserved)
                         ? "etcdserver: no version of etcd that this store knows has such a method"
                         : found->why);
}

}  // namespace strata::rpc

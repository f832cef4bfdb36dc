// What etcd's API has and this store doesn't: each such call ends with UNIMPLEMENTED and a line
// that says why, and what to do instead.
#pragma once

#include <grpcpp/generic/async_generic_service.h>

namespace strata::rpc {

// Gets the calls of all methods that no service has.
class UnservedCalls final : public grpc::CallbackGenericService {
 public:
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override;
};

}  // namespace strata::rpc

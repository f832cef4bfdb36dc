#include "storage/tool/connection.h"

#include <absl/time/time.h>

#include <utility>

#include "storage/engine/store.h"
#include "storage/rpc/server.h"

namespace strata::tool {

struct Connection::Embedded {
  std::unique_ptr<engine::Store> store;
  std::unique_ptr<rpc::Server> server;
};

Connection::Connection() = default;

Connection::~Connection() {
  store_.reset();
  client_.reset();
  if (embedded_ != nullptr && embedded_->server != nullptr)
    embedded_->server->Shutdown(absl::Seconds(5));
}

namespace {

// Every etcd has a cluster id, kine none.
base::StatusOr<Subset> SubsetOf(client::Client& client, const ConnectOptions& options) {
  const auto found = client.Range({.key = records::Keys(options.prefix).begin()},
                                  std::chrono::steady_clock::now() + options.connect_timeout);
  // Whoever may read some keys alone is a user of an etcd.
  if (found.status().code() == base::StatusCode::kPermissionDenied) return Subset::kAll;
  if (!found.ok()) return base::Annotate(found.status(), "--etcd-servers");
  return found->cluster_id == 0 ? Subset::kKine : Subset::kAll;
}

}  // namespace

base::StatusOr<std::unique_ptr<Connection>> Connection::Open(const ConnectOptions& options,
                                                             const base::Clock& clock,
                                                             const obs::Logger& log,
                                                             obs::Metrics& metrics) {
  std::unique_ptr<Connection> connection(new Connection());
  Subset subset = Subset::kAll;
  if (!options.data_dir.empty()) {
    connection->embedded_ = std::make_unique<Embedded>();
    Embedded& embedded = *connection->embedded_;
    auto store = engine::Store::Open(options.data_dir, {.look_only = options.look_only}, clock, log,
                                     metrics);
    if (!store.ok()) return base::Annotate(store.status(), "--data-dir");
    embedded.store = *std::move(store);
    embedded.server = std::make_unique<rpc::Server>(*embedded.store, rpc::Options(), log, metrics);
    STRATA_RETURN_IF_ERROR(embedded.server->Start());
    connection->client_ = client::Client::OverChannel(embedded.server->InProcessChannel(), metrics);
  } else if (!options.etcd.endpoints.empty()) {
    STRATA_ASSIGN_OR_RETURN(connection->client_,
                            client::Client::Create(options.etcd, log, metrics));
    // So that servers that can't be reached are noticed before inputs are read.
    STRATA_ASSIGN_OR_RETURN(subset, SubsetOf(*connection->client_, options));
  } else {
    return base::InvalidArgumentError("give --etcd-servers or --data-dir");
  }
  connection->store_ = std::make_unique<RecordStore>(*connection->client_, options.prefix, subset);
  return connection;
}

base::Status Connection::VerifyFile() const {
  if (embedded_ == nullptr) return base::OkStatus();
  return base::Annotate(embedded_->store->Verify().status(), "--data-dir");
}

}  // namespace strata::tool

#include "server/start/records.h"

#include <absl/time/time.h>

#include <chrono>
#include <utility>

#include "server/kube_source/kube_source.h"
#include "server/start/kube.h"
#include "storage/reflector/reflector.h"

namespace strata::start {
namespace {

constexpr std::chrono::seconds kStorePatience{5};

}  // namespace

base::StatusOr<std::unique_ptr<Records>> Records::Open(const Flags& flags, const base::Clock& clock,
                                                       const obs::Logger& log,
                                                       obs::Metrics& metrics) {
  std::unique_ptr<Records> records(new Records(flags));
  STRATA_RETURN_IF_ERROR(records->OpenBackend(flags, clock, log, metrics));
  STRATA_RETURN_IF_ERROR(records->OpenHistory(flags, clock, log, metrics));
  return records;
}

Records::~Records() {
  replica_.reset();
  client_.reset();
  if (rpc_ != nullptr) rpc_->Shutdown(absl::FromChrono(kStorePatience));
}

base::Status Records::OpenBackend(const Flags& flags, const base::Clock& clock,
                                  const obs::Logger& log, obs::Metrics& metrics) {
  if (flags.source == Flags::kKubeSource) {
    STRATA_ASSIGN_OR_RETURN(kube_, ConnectKube(flags, flags.source_kubeconfig,
                                               "--source-kubeconfig", "records", metrics));
    if (kube_ == nullptr) {
      return base::InvalidArgumentError(
          "--source=kube reads the records at an API server: give --kubeconfig or "
          "--source-kubeconfig where this is no pod");
    }
    return base::OkStatus();
  }
  if (flags.data_dir.empty()) {
    STRATA_ASSIGN_OR_RETURN(client_, client::Client::Create(flags.etcd, log, metrics));
    return base::OkStatus();
  }
  auto store = engine::Store::Open(flags.data_dir, {}, clock, log, metrics);
  if (!store.ok()) return base::Annotate(store.status(), "--data-dir");
  store_ = *std::move(store);
  rpc_ = std::make_unique<rpc::Server>(*store_, rpc::Options{}, log, metrics);
  STRATA_RETURN_IF_ERROR(base::Annotate(rpc_->Start(), "--data-dir"));
  client_ = client::Client::OverChannel(rpc_->InProcessChannel(), metrics,
                                        [&rpc = *rpc_](const etcdserverpb::RangeRequest& request,
                                                       etcdserverpb::RangeResponse* response) {
                                          return rpc.Range(request, response);
                                        });
  return base::OkStatus();
}

base::Status Records::OpenHistory(const Flags& flags, const base::Clock& clock,
                                  const obs::Logger& log, obs::Metrics& metrics) {
  if (flags.serve == "layers") return base::OkStatus();
  if (store_ != nullptr) {
    stored_ = std::make_unique<replica::StoreHistory>(*store_, keys_);
    history_ = stored_.get();
    return base::OkStatus();
  }
  auto replica = replica::Replica::Create(client_.get(), keys_, flags.replica, clock, log, metrics);
  if (!replica.ok()) return base::Annotate(replica.status(), "--cache-dir");
  replica_ = *std::move(replica);
  history_ = replica_.get();
  return base::OkStatus();
}

std::unique_ptr<reflector::Source> Records::MakeSource(const Flags& flags,
                                                       reflector::Consumer& consumer,
                                                       const base::Clock& clock,
                                                       const obs::Logger& log,
                                                       obs::Metrics& metrics) {
  if (kube_ != nullptr) {
    return std::make_unique<kube_source::KubeSource>(kube_, consumer, flags.kube_source, clock, log,
                                                     metrics);
  }
  return std::make_unique<reflector::Reflector>(*client_, keys_, consumer, flags.reflector, clock,
                                                log, metrics);
}

}  // namespace strata::start

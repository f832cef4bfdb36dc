// Which clients the store lets in: those with a certificate that Go's etcd would take.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <grpcpp/security/tls_certificate_verifier.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>

#include "lib/base/clock.h"
#include "lib/base/status.h"
#include "lib/obs/log.h"
#include "lib/x509/pool.h"

namespace strata::rpc {

// The CAs whose clients are let in, as of now.
class ClientRoots {
 public:
  std::shared_ptr<const x509::Pool> Now() const ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    return roots_;
  }
  void Put(x509::Pool roots) ABSL_LOCKS_EXCLUDED(mu_) {
    auto made = std::make_shared<const x509::Pool>(std::move(roots));
    absl::MutexLock lock(&mu_);
    roots_ = std::move(made);
  }

 private:
  mutable absl::Mutex mu_;
  std::shared_ptr<const x509::Pool> roots_ ABSL_GUARDED_BY(mu_);
};

// A Go server's ClientAuth RequireAndVerifyClientCert, as etcd's --client-cert-auth has it. Called
// by gRPC's threads after each handshake, in which OpenSSL refuses nobody. Who is refused is
// logged, one in a second; gRPC doesn't say from where it came.
class ClientJudge final : public grpc::experimental::ExternalCertificateVerifier {
 public:
  ClientJudge(std::shared_ptr<const ClientRoots> roots, const obs::Logger& log);

  bool Verify(grpc::experimental::TlsCustomVerificationCheckRequest* request,
              std::function<void(grpc::Status)> callback, grpc::Status* sync_status) override;
  void Cancel(grpc::experimental::TlsCustomVerificationCheckRequest*) override {}

 private:
  base::Status Judge(std::string_view leaf, std::string_view others);
  void Tell(const base::Status& why) ABSL_LOCKS_EXCLUDED(mu_);

  const std::shared_ptr<const ClientRoots> roots_;
  const obs::Logger& log_;
  absl::Mutex mu_;
  base::MonotonicTime told_ ABSL_GUARDED_BY(mu_);
  int64_t untold_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace strata::rpc

// Which clients the store lets in: those with a certificate that Go's etcd would take.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <grpcpp/security/tls_certificate_verifier.h>

#include <chrono>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "obs/log.h"
#include "x509/pool.h"

namespace strata::rpc {

// A Go server's ClientAuth RequireAndVerifyClientCert, as etcd's --client-cert-auth has it. Called
// by gRPC's threads after each handshake, in which OpenSSL refuses nobody. Who is refused is
// logged, one in a second; gRPC doesn't say from where it came.
class ClientJudge final : public grpc::experimental::ExternalCertificateVerifier {
 public:
  // `ca_file` is read again when its last reading is `refresh` ago; what can't be used then is
  // passed by.
  ClientJudge(std::string ca_file, x509::Pool roots, std::chrono::seconds refresh,
              const obs::Logger& log);

  bool Verify(grpc::experimental::TlsCustomVerificationCheckRequest* request,
              std::function<void(grpc::Status)> callback, grpc::Status* sync_status) override;
  void Cancel(grpc::experimental::TlsCustomVerificationCheckRequest*) override {}

 private:
  std::shared_ptr<const x509::Pool> Roots() ABSL_LOCKS_EXCLUDED(mu_);
  base::Status Judge(std::string_view leaf, std::string_view others);
  void Tell(const base::Status& why) ABSL_LOCKS_EXCLUDED(mu_);

  const std::string ca_file_;
  const std::chrono::seconds refresh_;
  const obs::Logger& log_;
  absl::Mutex mu_;
  std::shared_ptr<const x509::Pool> roots_ ABSL_GUARDED_BY(mu_);
  base::MonotonicTime read_ ABSL_GUARDED_BY(mu_), told_ ABSL_GUARDED_BY(mu_);
  int64_t untold_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace strata::rpc

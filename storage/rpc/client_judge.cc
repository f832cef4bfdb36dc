#include "storage/rpc/client_judge.h"

#include <chrono>
#include <string>
#include <utility>

#include "lib/x509/verify.h"

namespace strata::rpc {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::seconds kBetweenLines{1};

std::string_view View(const grpc::string_ref& text) {
  return {text.data(), text.size()};
}

}  // namespace

ClientJudge::ClientJudge(std::shared_ptr<const ClientRoots> roots, const obs::Logger& log)
    : roots_(std::move(roots)), log_(log) {}

base::Status ClientJudge::Judge(std::string_view leaf, std::string_view others) {
  if (leaf.empty())
    return base::UnauthenticatedError("it presents no certificate, and one is required");
  // A server is told the others alone.
  STRATA_ASSIGN_OR_RETURN(const x509::Chain chain,
                          x509::ParseChain(std::string(leaf) + std::string(others)));
  return x509::Verify(chain, *roots_->Now(),
                      {.usage = x509::Usage::kClient, .now = std::chrono::system_clock::now()});
}

void ClientJudge::Tell(const base::Status& why) {
  int64_t untold = 0;
  {
    absl::MutexLock lock(&mu_);
    const auto now = steady_clock::now();
    if (now - told_ < kBetweenLines) {
      ++untold_;
      return;
    }
    told_ = now;
    untold = std::exchange(untold_, 0);
  }
  log_.Warning("A client was refused", {{"err", why}, {"alsoRefused", untold}});
}

bool ClientJudge::Verify(grpc::experimental::TlsCustomVerificationCheckRequest* request,
                         std::function<void(grpc::Status)>, grpc::Status* sync_status) {
  const base::Status verdict =
      Judge(View(request->peer_cert()), View(request->peer_cert_full_chain()));
  if (!verdict.ok()) {
    Tell(verdict);
    *sync_status =
        grpc::Status(grpc::StatusCode::UNAUTHENTICATED, std::string(base::Message(verdict)));
  }
  return true;
}

}  // namespace strata::rpc

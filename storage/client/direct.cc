#include "storage/client/direct.h"

#include <algorithm>
#include <utility>

namespace strata::client {

using std::chrono::steady_clock;

DirectConnection::DirectConnection(net::Address address, net::ClientCredentials* files,
                                   Patience::Bounds patience)
    : address_(std::move(address)), files_(files), patience_(patience) {}

void DirectConnection::Interrupt() {
  interruption_.Set();
}

base::Status DirectConnection::Dial(base::MonotonicTime deadline) {
  session_.reset();
  dialled_ = true;
  STRATA_ASSIGN_OR_RETURN(transport_, patience_.Try([&](base::MonotonicTime patient) {
    return net::ClientConnection::Dial(address_, files_, interruption_,
                                       std::min(deadline, patient));
  }));
  session_ = std::make_unique<UnarySession>(address_.tls ? "https" : "http", address_.authority);
  return base::OkStatus();
}

base::StatusOr<std::string> DirectConnection::Call(const UnaryRequest& request,
                                                   base::MonotonicTime deadline,
                                                   Patience::Duration answer_within) {
  const auto patient = [&] {
    const auto now = steady_clock::now();
    return now + std::min(answer_within, deadline - now);
  };
  const bool reused = session_ != nullptr && session_->reusable();
  if (!reused) STRATA_RETURN_IF_ERROR(Dial(deadline));
  auto answer = TryCall(request, patient());
  // A connection that has been quiet may have ended meanwhile.
  if (!reused || session_->answering() || !absl::IsUnavailable(answer.status())) return answer;
  STRATA_RETURN_IF_ERROR(Dial(deadline));
  return TryCall(request, patient());
}

base::StatusOr<std::string> DirectConnection::TryCall(const UnaryRequest& request,
                                                      base::MonotonicTime deadline) {
  session_->Start(request, net::Left(deadline));
  base::Status status = Exchange(deadline);
  // The next call begins anew: this one may be what the connection hangs in.
  if (!status.ok()) session_->ReceiveEnd();
  auto answer = status.ok() ? session_->TakeAnswer() : base::StatusOr<std::string>(status);
  if (!absl::IsUnavailable(answer.status())) return answer;
  return transport_->Suspect(answer.status());
}

base::Status DirectConnection::Exchange(base::MonotonicTime deadline) {
  while (!session_->done()) {
    // With it goes what the bytes before asked for, acknowledgements of pings mostly: a peer that
    // never pauses would have them pile up, and is waited for no longer than another.
    STRATA_RETURN_IF_ERROR(transport_->Write(session_->Produce(), deadline));
    if (steady_clock::now() >= deadline) return base::DeadlineExceededError("no answer in time");
    STRATA_ASSIGN_OR_RETURN(const std::string_view bytes, transport_->Read(deadline));
    if (bytes.empty()) {
      session_->ReceiveEnd();
    } else {
      session_->Receive(bytes);
    }
  }
  return base::OkStatus();
}

}  // namespace strata::client

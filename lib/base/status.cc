#include "lib/base/status.h"

#include <fmt/format.h>

namespace strata::base {

Status Error(StatusCode code, std::string_view message) {
  return Status(code, {message.data(), message.size()});
}

Status InvalidArgumentError(std::string_view message) {
  return Error(StatusCode::kInvalidArgument, message);
}
Status NotFoundError(std::string_view message) {
  return Error(StatusCode::kNotFound, message);
}
Status FailedPreconditionError(std::string_view message) {
  return Error(StatusCode::kFailedPrecondition, message);
}
Status OutOfRangeError(std::string_view message) {
  return Error(StatusCode::kOutOfRange, message);
}
Status ResourceExhaustedError(std::string_view message) {
  return Error(StatusCode::kResourceExhausted, message);
}
Status UnavailableError(std::string_view message) {
  return Error(StatusCode::kUnavailable, message);
}
Status DeadlineExceededError(std::string_view message) {
  return Error(StatusCode::kDeadlineExceeded, message);
}
Status UnauthenticatedError(std::string_view message) {
  return Error(StatusCode::kUnauthenticated, message);
}
Status PermissionDeniedError(std::string_view message) {
  return Error(StatusCode::kPermissionDenied, message);
}
Status UnimplementedError(std::string_view message) {
  return Error(StatusCode::kUnimplemented, message);
}
Status DataLossError(std::string_view message) {
  return Error(StatusCode::kDataLoss, message);
}
Status CancelledError(std::string_view message) {
  return Error(StatusCode::kCancelled, message);
}
Status InternalError(std::string_view message) {
  return Error(StatusCode::kInternal, message);
}

std::string_view Message(const Status& status) {
  const auto message = status.message();
  return {message.data(), message.size()};
}

Status Annotate(const Status& status, std::string_view context) {
  if (status.ok()) return status;
  return Error(status.code(), fmt::format("{}: {}", context, Message(status)));
}

}  // namespace strata::base

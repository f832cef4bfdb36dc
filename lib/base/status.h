// Errors below the HTTP boundary. This header and string_map.h are the only places that know that
// Debian's abseil has a string_view of its own: messages go in and come out as std's.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <utility>

namespace strata::base {

using absl::OkStatus;
using absl::Status;
using absl::StatusCode;
using absl::StatusOr;

Status Error(StatusCode code, std::string_view message);
Status InvalidArgumentError(std::string_view message);
Status NotFoundError(std::string_view message);
Status FailedPreconditionError(std::string_view message);
Status OutOfRangeError(std::string_view message);
Status ResourceExhaustedError(std::string_view message);
Status UnavailableError(std::string_view message);
Status DeadlineExceededError(std::string_view message);
Status UnauthenticatedError(std::string_view message);
Status PermissionDeniedError(std::string_view message);
Status UnimplementedError(std::string_view message);
Status DataLossError(std::string_view message);
Status CancelledError(std::string_view message);
Status InternalError(std::string_view message);

// The message alone, without the code's name. Valid as long as `status`.
std::string_view Message(const Status& status);

// `status` with "context: " before its message; OK stays OK.
Status Annotate(const Status& status, std::string_view context);

}  // namespace strata::base

#define STRATA_CONCAT_INNER_(a, b) a##b
#define STRATA_CONCAT_(a, b) STRATA_CONCAT_INNER_(a, b)

// Returns from the enclosing function if `expr`, a Status, is an error.
#define STRATA_RETURN_IF_ERROR(expr)                                          \
  do {                                                                        \
    if (::strata::base::Status strata_status_ = (expr); !strata_status_.ok()) \
      return strata_status_;                                                  \
  } while (false)

// STRATA_ASSIGN_OR_RETURN(auto page, client.Range(...)): the value, or the error to the caller.
#define STRATA_ASSIGN_OR_RETURN(lhs, expr) \
  STRATA_ASSIGN_OR_RETURN_IMPL_(STRATA_CONCAT_(strata_or_, __LINE__), lhs, expr)
#define STRATA_ASSIGN_OR_RETURN_IMPL_(result, lhs, expr) \
  auto result = (expr);                                  \
  if (!result.ok()) return std::move(result).status();   \
  lhs = *std::move(result)

#include "storage/engine/errors.h"

#include <fmt/format.h>

#include "storage/engine/layout.h"

namespace strata::engine {

using base::InvalidArgumentError;

base::Status EmptyKey() {
  return InvalidArgumentError("etcdserver: key is not provided");
}
base::Status KeyNotFound() {
  return InvalidArgumentError("etcdserver: key not found");
}
base::Status ValueProvided() {
  return InvalidArgumentError("etcdserver: value is provided");
}
base::Status LeaseProvided() {
  return InvalidArgumentError("etcdserver: lease is provided");
}
base::Status TooManyOps() {
  return InvalidArgumentError("etcdserver: too many operations in txn request");
}
base::Status DuplicateKey() {
  return InvalidArgumentError("etcdserver: duplicate key given in txn request");
}
base::Status InvalidSortOption() {
  return InvalidArgumentError("etcdserver: invalid sort option");
}
base::Status Compacted() {
  return base::OutOfRangeError("etcdserver: mvcc: required revision has been compacted");
}
base::Status FutureRevision() {
  return base::OutOfRangeError("etcdserver: mvcc: required revision is a future revision");
}
base::Status NoSpace() {
  return base::ResourceExhaustedError("etcdserver: mvcc: database space exceeded");
}
base::Status LeaseNotFound() {
  return base::NotFoundError("etcdserver: requested lease not found");
}
base::Status LeaseExists() {
  return base::FailedPreconditionError("etcdserver: lease already exists");
}
base::Status LeaseTtlTooLarge() {
  return base::OutOfRangeError("etcdserver: too large lease TTL");
}
base::Status RequestTooLarge() {
  return InvalidArgumentError("etcdserver: request is too large");
}
base::Status AnswerTooLarge(size_t bytes, size_t most) {
  return base::ResourceExhaustedError(
      fmt::format("grpc: trying to send message larger than max ({} vs. {})", bytes, most));
}
base::Status TooManyRequests() {
  return base::ResourceExhaustedError("etcdserver: too many requests");
}
base::Status Stopped() {
  return base::UnavailableError("etcdserver: server stopped");
}

base::Status NoMoreRevisions() {
  return base::ResourceExhaustedError(fmt::format(
      "etcdserver: the store is at revision {}, and counts no further: `dump` it, and `load` that "
      "into a new one",
      kMostCount));
}

base::Status KeyTooLong() {
  return InvalidArgumentError(
      fmt::format("etcdserver: key is too long: this store takes {} bytes", kMaxKeyBytes));
}

}  // namespace strata::engine

// The errors that etcd's clients know, by their exact text and code (etcd
// api/v3rpc/rpctypes/error.go).
#pragma once

#include <string_view>

#include <cstddef>

#include "lib/base/status.h"

namespace strata::engine {

base::Status EmptyKey();
base::Status KeyNotFound();
base::Status ValueProvided();
base::Status LeaseProvided();
base::Status TooManyOps();
base::Status DuplicateKey();
base::Status InvalidSortOption();
base::Status Compacted();
base::Status FutureRevision();
base::Status NoSpace();
base::Status LeaseNotFound();
base::Status LeaseExists();
base::Status LeaseTtlTooLarge();
base::Status RequestTooLarge();
// gRPC's, as Go's has it (google.golang.org/grpc server.go sendResponse).
base::Status AnswerTooLarge(size_t bytes, size_t most);
base::Status TooManyRequests();
base::Status Stopped();

// Ours alone: etcd has no bound on a key but the request's.
base::Status KeyTooLong();
// Nor on revisions, which overflow there.
base::Status NoMoreRevisions();

}  // namespace strata::engine

// Where a list goes on: the token that a page hands out for the next one
// (k8s.io/apiserver pkg/storage/continue.go). Tokens are upstream's, byte for byte, so they are
// good on every server over the same etcd.
#pragma once

#include <string>
#include <string_view>

#include "lib/base/revision.h"
#include "lib/base/status.h"

namespace strata::api {

struct ContinuePoint {
  // Of the first page. kNewest: the rest of a list whose revision is gone is read at the newest,
  // and isn't consistent with the pages before.
  static constexpr base::Revision kNewest = -1;
  base::Revision revision = kNewest;
  // The first key that may come, relative to the prefix (with its slash at the end) that the
  // request lists: "NAME\0", or "NAMESPACE/NAME\0" over all namespaces. It isn't bound to what the
  // token was made for. May be empty.
  std::string start;
};

// For the page behind the record at `key`, relative to the prefix as above, at `revision`.
std::string ContinueBehind(std::string_view key, base::Revision revision);
// For the rest of a list whose revision is gone.
std::string ContinueInconsistently(std::string_view start);

// An error has upstream's text, without "invalid continue token: ".
base::StatusOr<ContinuePoint> ParseContinue(std::string_view token);

}  // namespace strata::api

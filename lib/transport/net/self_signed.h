// A serving certificate for a server that was given none, as kube-apiserver makes one in
// --cert-dir.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/status.h"

namespace strata::net {

struct PemPair {
  std::string certificate;  // the chain, leaf first
  std::string key;
};

// ECDSA P-256, signed by itself; `names` are DNS names and IP addresses. Valid from an hour ago.
base::StatusOr<PemPair> MakeSelfSigned(const std::vector<std::string>& names,
                                       std::chrono::hours validity, base::WallTime now);

// Makes `<cert_dir>/apiserver.crt` and `.key` for localhost, 127.0.0.1, ::1 and this host, for a
// year, unless both exist; one that was made here is made anew from 30 days before its end, if
// that can be written: what there is serves on. The folder is made if it is missing; the key is
// readable by its owner only.
base::Status EnsureSelfSignedPair(const std::string& cert_dir, base::WallTime now);

}  // namespace strata::net

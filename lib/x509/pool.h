// Certificates that are found by their subject (Go crypto/x509 CertPool): the anchors of a CA file,
// or what a peer presents beside its own.
#pragma once

#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "lib/base/status.h"
#include "lib/x509/certificate.h"

namespace strata::x509 {

// Immutable once it is shared. Each certificate in it is an anchor, self-signed or not.
class Pool {
 public:
  // Every CERTIFICATE block without headers; what else is in the file is passed by. One that can't
  // be parsed is an error that names it, and none at all too (client-go util/cert ParseCertsPEM:
  // kube-apiserver's CA files).
  static base::StatusOr<Pool> Parse(std::string_view pem);

  // The same, but what can't be parsed is passed by too (CertPool.AppendCertsFromPEM: the system's
  // CAs and a kubeconfig's).
  static base::StatusOr<Pool> ParseUsable(std::string_view pem);

  // Nothing if it is there already.
  void Add(CertificatePtr certificate);

  bool Contains(const Certificate& certificate) const { return raws_.contains(certificate.raw); }
  // Those that may have signed `certificate`, by their names; the likeliest by key identifiers
  // first.
  std::vector<const Certificate*> ParentsOf(const Certificate& certificate) const;
  const std::vector<CertificatePtr>& all() const { return all_; }

 private:
  std::vector<CertificatePtr> all_;
  std::unordered_set<std::string_view> raws_;
  std::unordered_map<std::string_view, std::vector<const Certificate*>> by_subject_;
};

}  // namespace strata::x509

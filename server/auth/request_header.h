// Users that a proxy, kube-apiserver's aggregator, has authenticated and tells in headers
// (k8s.io/apiserver pkg/authentication/request/headerrequest).
#pragma once

#include <absl/base/thread_annotations.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/mutex.h"
#include "server/auth/authenticator.h"
#include "server/auth/ca_pool.h"

namespace strata::auth {

struct RequestHeaderConfig {
  std::vector<std::string> username_headers = {"x-remote-user"};
  std::vector<std::string> uid_headers = {};
  std::vector<std::string> group_headers = {"x-remote-group"};
  std::vector<std::string> extra_header_prefixes = {"x-remote-extra-"};
  std::vector<std::string> allowed_names = {};  // common names of proxies; empty: any
};

// The headers are believed of a proxy alone: who shows a certificate that verifies against the
// proxies' CAs and has an allowed name. A certificate that doesn't is an error; no certificate, no
// CA, or no user header, no opinion. Thread-safe.
class RequestHeader final : public Authenticator {
 public:
  RequestHeader(std::shared_ptr<const CaPool> cas, RequestHeaderConfig config);

  // For later requests.
  void Set(RequestHeaderConfig config) ABSL_LOCKS_EXCLUDED(mu_);
  std::optional<Authentication> Authenticate(const http::Request& request,
                                             Later later) const override;
  // Whether the headers that come with `chain` (DER, leaf first) are believed.
  bool IsProxy(const std::vector<std::string>& chain) const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  std::shared_ptr<const RequestHeaderConfig> config() const ABSL_LOCKS_EXCLUDED(mu_);

  const std::shared_ptr<const CaPool> cas_;
  mutable base::Mutex mu_;
  std::shared_ptr<const RequestHeaderConfig> config_ ABSL_GUARDED_BY(mu_);
};

// The key that a header name ends in, where it was escaped as header names need it: lower-case, and
// %XX as in URLs; as it is, where that is malformed.
std::string UnescapeExtraKey(std::string_view escaped);

}  // namespace strata::auth

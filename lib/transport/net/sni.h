// Which certificate a client is shown by the name that it asks for (--tls-sni-cert-key).
#pragma once

#include <openssl/types.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/string_map.h"

namespace strata::net {

// Names to contexts; immutable once it is in use.
class NamedContexts {
 public:
  // `name` may begin with "*.", which is any one label. Of two of a name the first counts.
  void Add(std::string_view name, const std::shared_ptr<SSL_CTX>& context);
  // Null if no name fits: whole, or with "*" in place of its first label.
  SSL_CTX* Find(std::string_view name) const;
  bool empty() const { return contexts_.empty(); }

 private:
  base::StringMap<std::shared_ptr<SSL_CTX>> contexts_;
};

// The DNS names that a certificate is for; its CN if it has none.
std::vector<std::string> NamesOf(const X509* certificate);

// Handshakes of `context` that ask for one of the names go on with that one's certificate.
// `context` keeps them.
void SelectByName(SSL_CTX* context, NamedContexts contexts);

}  // namespace strata::net

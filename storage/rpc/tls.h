// The store's TLS: certificates that are read again when their files change.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "obs/log.h"

namespace grpc {
class ServerCredentials;
}  // namespace grpc

namespace strata::rpc {

// Names of PEM files.
struct TlsFiles {
  std::string cert, key;
  std::string client_ca;  // if given, clients must have a certificate of one of these CAs
  unsigned refresh_seconds = 60;
};

// The files are looked at every so often; what can't be used then is passed by, and the old ones
// serve on. Now it is an error that names the file.
// Clients that are refused are told to `log`, which must outlive the server.
base::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ServerTls(const TlsFiles& files,
                                                                   const obs::Logger& log);

}  // namespace strata::rpc

// The store's TLS: certificates that are read again when their files change.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/status.h"
#include "lib/obs/log.h"
#include "storage/rpc/client_judge.h"
#include "storage/rpc/memory_file.h"

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

// gRPC 1.51 reads files by itself, and while a pair doesn't fit, or is half-written, no client gets
// in; an empty certificate ends the process (tls_security_connector.cc). So it is given copies in
// memory, of what was tried first. A thread of its own looks at the files every so often; what
// can't be used then is told to the log once, and what was read before serves on.
class ServerTls {
 public:
  // The error names the file. `log` must outlive the server that uses the credentials.
  static base::StatusOr<std::unique_ptr<ServerTls>> Load(const TlsFiles& files,
                                                         const obs::Logger& log);
  ServerTls(const ServerTls&) = delete;
  ServerTls& operator=(const ServerTls&) = delete;
  ~ServerTls();

  // They stay as they are, without this object too.
  std::shared_ptr<grpc::ServerCredentials> Credentials() const;

 private:
  // What was read of files that count together.
  struct Unit {
    std::vector<std::string> contents;
    base::Status verdict;   // on them
    base::Status reported;  // to the log
  };

  ServerTls(const TlsFiles& files, const obs::Logger& log) : files_(files), log_(log) {}

  void Run() ABSL_LOCKS_EXCLUDED(mu_);
  base::Status LookAtPair();
  base::Status TakePair(const std::string& certificates, const std::string& key);
  base::Status LookAtRoots();
  base::Status TakeRoots(const std::string& pem);
  void Report(Unit& unit, const base::Status& verdict);

  const TlsFiles files_;
  const obs::Logger& log_;
  const std::shared_ptr<ClientRoots> client_roots_ = std::make_shared<ClientRoots>();
  // Of Load, then of the thread.
  Unit pair_, roots_;
  MemoryFile pair_file_, roots_file_;

  absl::Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace strata::rpc

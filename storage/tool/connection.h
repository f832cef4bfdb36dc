// The way to a store: an etcd by its URLs, or the embedded store of a data directory, opened in
// this process.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "lib/base/clock.h"
#include "lib/base/status.h"
#include "lib/obs/log.h"
#include "lib/obs/metrics.h"
#include "storage/client/client.h"
#include "storage/tool/record_store.h"

namespace strata::tool {

struct ConnectOptions {
  client::Options etcd{};                           // --etcd-servers and the flags of its TLS
  std::string password_file{};                      // --etcd-password-file, until it is read
  std::string prefix = "openshift.io";              // --etcd-prefix
  std::string data_dir{};                           // --data-dir; used if it isn't empty
  bool look_only = false;                           // at the directory (engine::Options)
  std::chrono::milliseconds connect_timeout{5000};  // for the first answer of one of the servers
};

class Connection {
 public:
  // The message of an error names the flag or file. A data directory that a running process holds
  // is refused.
  static base::StatusOr<std::unique_ptr<Connection>> Open(const ConnectOptions& options,
                                                          const base::Clock& clock,
                                                          const obs::Logger& log,
                                                          obs::Metrics& metrics);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  RecordStore& store() { return *store_; }
  // Of a data directory: reads all of it, and says what is damaged. OK of an etcd, which has its
  // own ways.
  base::Status VerifyFile() const;

 private:
  struct Embedded;
  Connection();

  std::unique_ptr<Embedded> embedded_;  // null: an etcd
  std::unique_ptr<client::Client> client_;
  std::unique_ptr<RecordStore> store_;
};

}  // namespace strata::tool

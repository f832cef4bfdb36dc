// The flags by which both programs reach an etcd, declared once: kube-apiserver's names.
#pragma once

#include <string>

#include "lib/base/status.h"
#include "storage/client/client.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace strata::command_line {

struct EtcdFlags {
  client::Options& options;
  std::string& prefix;
  std::string& password_file;
};

// Declares them in `group`; parsing fills what `flags` refers to, which outlives it. Returns
// --etcd-servers.
CLI::Option* AddEtcdFlags(CLI::App& group, const EtcdFlags& flags);

// Reads the password's file. The error names the flag, and says what goes together.
base::Status CompleteEtcdFlags(const EtcdFlags& flags);

}  // namespace strata::command_line

#include "storage/command_line/etcd_flags.h"

#include <CLI/CLI.hpp>

#include <utility>

#include "lib/base/file.h"

namespace strata::command_line {
namespace {

constexpr size_t kMaxPasswordBytes = 4096;

}  // namespace

CLI::Option* AddEtcdFlags(CLI::App& group, const EtcdFlags& flags) {
  client::Options& etcd = flags.options;
  CLI::Option* servers =
      group
          .add_option("--etcd-servers", etcd.endpoints,
                      "The etcd v3 API that has the records: http://HOST:PORT, "
                      "https://HOST:PORT or unix:///PATH, of an etcd, or of strata-storage serve")
          ->delimiter(',')
          ->type_name("URL,...");
  group.add_option("--etcd-prefix", flags.prefix, "Prefix of all keys")
      ->capture_default_str()
      ->type_name("PREFIX");
  group
      .add_option("--etcd-cafile", etcd.ca_file,
                  "CA of the servers' certificates, PEM; else the system's")
      ->type_name("FILE");
  group.add_option("--etcd-certfile", etcd.cert_file, "Client certificate for etcd, PEM")
      ->type_name("FILE");
  group.add_option("--etcd-keyfile", etcd.key_file, "Its key, PEM")->type_name("FILE");
  group.add_option("--etcd-username", etcd.username, "User, where etcd has authentication enabled")
      ->type_name("NAME");
  group
      .add_option("--etcd-password-file", flags.password_file,
                  "File that holds the user's password")
      ->type_name("FILE");
  return servers;
}

base::Status CompleteEtcdFlags(const EtcdFlags& flags) {
  client::Options& etcd = flags.options;
  if (etcd.cert_file.empty() != etcd.key_file.empty())
    return base::InvalidArgumentError("--etcd-certfile and --etcd-keyfile go together");
  if (etcd.username.empty() != flags.password_file.empty())
    return base::InvalidArgumentError("--etcd-username and --etcd-password-file go together");
  if (flags.password_file.empty()) return base::OkStatus();
  auto password = base::ReadFile(flags.password_file, kMaxPasswordBytes);
  if (!password.ok()) return base::Annotate(password.status(), "--etcd-password-file");
  while (password->ends_with('\n') || password->ends_with('\r')) password->pop_back();
  etcd.password = *std::move(password);
  return base::OkStatus();
}

}  // namespace strata::command_line

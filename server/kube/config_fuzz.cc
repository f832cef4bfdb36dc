// Any bytes as a kubeconfig: reading must return, and what it accepts can be used: one kind of
// credentials, and none over a connection that anybody can read.
#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "server/kube/config.h"

namespace {

void Write(const std::string& path, const uint8_t* data, size_t size) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (write(file, data, size) != static_cast<ssize_t>(size)) std::abort();
  close(file);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // In memory, where no other file has a name that it could say.
  static const std::string path = "/dev/shm/strata-kubeconfig-fuzz-" + std::to_string(getpid());
  Write(path, data, size);
  const auto config = strata::kube::LoadKubeconfig(path);
  unlink(path.c_str());
  if (!config.ok()) {
    if (strata::base::Message(config.status()).empty()) std::abort();
    return 0;
  }
  const bool bearer = !config->token.empty() || !config->token_file.empty();
  const bool basic = !config->username.empty() || !config->password.empty();
  const bool certificate = !config->cert_file.empty() || !config->cert_pem.empty();
  if (bearer && basic) std::abort();
  const bool tls = config->server.starts_with("https://");
  if (!tls && !config->server.starts_with("http://")) std::abort();
  if (!tls && (bearer || basic || certificate)) std::abort();
  return 0;
}

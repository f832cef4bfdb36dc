#include "lib/x509/system_roots.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>
#include <vector>

#include "lib/base/file.h"

namespace strata::x509 {
namespace {

// root_linux.go.
constexpr const char* kBundles[] = {
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
};
constexpr const char* kFolders = "/etc/ssl/certs:/etc/pki/tls/certs";

std::string Environment(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody sets it
  return value == nullptr || *value == '\0' ? otherwise : value;
}

// Whether it could be read.
bool Append(const std::filesystem::path& name, std::string& pem) {
  std::ifstream file(name, std::ios::binary);
  if (!file) return false;
  pem.append(std::istreambuf_iterator<char>(file), {});
  pem += '\n';
  return true;
}

void AppendFolder(const std::string& name, std::string& pem) {
  std::error_code ignored;
  for (const auto& entry : base::ListFolder(name, ignored)) {
    if (entry.is_regular_file(ignored)) Append(entry.path(), pem);
  }
}

}  // namespace

base::StatusOr<Pool> SystemRoots() {
  std::string pem;
  const std::string file = Environment("SSL_CERT_FILE", "");
  if (!file.empty()) {
    Append(file, pem);
  } else {
    for (const char* bundle : kBundles) {
      if (Append(bundle, pem)) break;
    }
  }
  std::string folders = Environment("SSL_CERT_DIR", kFolders) + ":";
  for (size_t colon = 0; (colon = folders.find(':')) != std::string::npos;) {
    AppendFolder(folders.substr(0, colon), pem);
    folders.erase(0, colon + 1);
  }
  auto pool = Pool::ParseUsable(pem);
  if (pool.ok()) return pool;
  return base::NotFoundError("the system trusts no CA: name a CA file, or install ca-certificates");
}

}  // namespace strata::x509

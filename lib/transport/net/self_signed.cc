#include "lib/transport/net/self_signed.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "lib/base/owned.h"

namespace strata::net {
namespace {

using Certificate = base::Owned<X509, X509_free>;
using Key = base::Owned<EVP_PKEY, EVP_PKEY_free>;
using MemoryBio = base::Owned<BIO, BIO_free>;

bool AddExtension(X509* certificate, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  const base::Owned<X509_EXTENSION, X509_EXTENSION_free> extension(
      X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

std::string AlternativeNames(const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) {
    in6_addr address{};
    const bool is_ip = inet_pton(AF_INET, name.c_str(), &address) == 1 ||
                       inet_pton(AF_INET6, name.c_str(), &address) == 1;
    list += fmt::format("{}{}:{}", list.empty() ? "" : ",", is_ip ? "IP" : "DNS", name);
  }
  return list;
}

std::string Text(BIO* bio) {
  char* data = nullptr;
  const auto size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<size_t>(size)};
}

// Of who is served when nobody gave a pair; the first is in the certificate's CN too, by which it
// is known again.
constexpr std::string_view kFirstName = "localhost";
constexpr std::chrono::hours kValidity(24 * 365);
constexpr std::chrono::hours kRenewal(24 * 30);

// Whether the certificate is one that was made here, and ends soon or has ended.
bool IsOursAndEnds(const std::string& file, base::WallTime now) {
  const MemoryBio in(BIO_new_file(file.c_str(), "r"));
  const Certificate certificate(
      in == nullptr ? nullptr : PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr));
  if (certificate == nullptr) return false;
  X509_NAME* const subject = X509_get_subject_name(certificate.get());
  char name[64] = {};
  if (X509_NAME_cmp(subject, X509_get_issuer_name(certificate.get())) != 0 ||
      X509_NAME_get_text_by_NID(subject, NID_commonName, name, sizeof name) < 0 ||
      !std::string_view(name).starts_with(fmt::format("{}@", kFirstName))) {
    return false;
  }
  time_t soon = std::chrono::system_clock::to_time_t(now + kRenewal);
  return X509_cmp_time(X509_get0_notAfter(certificate.get()), &soon) < 0;
}

constexpr const char* kBeside = ".new";

// Nor is it written to what somebody else laid there.
base::Status WriteBeside(const std::string& path, const std::string& content, mode_t mode) {
  const std::string beside = path + kBeside;
  unlink(beside.c_str());
  const int fd = open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
  if (fd < 0) return base::UnavailableError(fmt::format("{}: {}", beside, std::strerror(errno)));
  const ssize_t written = write(fd, content.data(), content.size());
  const bool whole = written == static_cast<ssize_t>(content.size());
  close(fd);
  if (!whole) return base::UnavailableError(fmt::format("{}: {}", beside, std::strerror(errno)));
  return base::OkStatus();
}

// Both are written before either is renamed: whoever reads never sees half of one, and what fails
// leaves those that were there.
base::Status MakePair(const std::string& cert_dir, const std::string& certificate,
                      const std::string& key, base::WallTime now) {
  std::error_code error;
  std::filesystem::create_directories(cert_dir, error);
  if (error) return base::UnavailableError(fmt::format("{}: {}", cert_dir, error.message()));
  std::vector<std::string> names = {std::string(kFirstName), "127.0.0.1", "::1"};
  char host[256] = {};
  if (gethostname(host, sizeof host - 1) == 0 && host[0] != '\0' && names[0] != host)
    names.emplace_back(host);
  STRATA_ASSIGN_OR_RETURN(const PemPair pair, MakeSelfSigned(names, kValidity, now));
  STRATA_RETURN_IF_ERROR(WriteBeside(key, pair.key, 0600));
  STRATA_RETURN_IF_ERROR(WriteBeside(certificate, pair.certificate, 0644));
  for (const std::string& path : {key, certificate}) {
    if (rename((path + kBeside).c_str(), path.c_str()) != 0)
      return base::UnavailableError(fmt::format("{}: {}", path, std::strerror(errno)));
  }
  return base::OkStatus();
}

}  // namespace

base::StatusOr<PemPair> MakeSelfSigned(const std::vector<std::string>& names,
                                       std::chrono::hours validity, base::WallTime now) {
  const Key key(EVP_EC_gen("P-256"));
  const Certificate certificate(X509_new());
  if (key == nullptr || certificate == nullptr) return base::InternalError("no key can be made");
  X509* x = certificate.get();
  unsigned char serial[8];
  uint64_t number = 0;
  bool good = RAND_bytes(serial, sizeof serial) == 1;
  std::memcpy(&number, serial, sizeof number);
  const auto seconds = std::chrono::system_clock::to_time_t(now);
  const auto life = std::chrono::duration_cast<std::chrono::seconds>(validity).count();
  good = good && X509_set_version(x, X509_VERSION_3) == 1 &&
         ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), number >> 1) == 1 &&
         ASN1_TIME_set(X509_getm_notBefore(x), seconds - 3600) != nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(x), seconds + life) != nullptr &&
         X509_set_pubkey(x, key.get()) == 1;
  // Distinct by time, as kube-apiserver's: clients that keep old roots must not take one for
  // another.
  const std::string name = fmt::format("{}@{}", names.front(), seconds);
  X509_NAME* subject = X509_get_subject_name(x);
  good = good &&
         X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1,
                                    0) == 1 &&
         X509_set_issuer_name(x, subject) == 1 &&
         AddExtension(x, NID_basic_constraints, "critical,CA:TRUE") &&
         AddExtension(x, NID_key_usage, "critical,digitalSignature,keyCertSign") &&
         AddExtension(x, NID_ext_key_usage, "serverAuth") &&
         AddExtension(x, NID_subject_alt_name, AlternativeNames(names)) &&
         X509_sign(x, key.get(), EVP_sha256()) > 0;
  const MemoryBio certificate_text(BIO_new(BIO_s_mem())), key_text(BIO_new(BIO_s_mem()));
  good = good && PEM_write_bio_X509(certificate_text.get(), x) == 1 &&
         PEM_write_bio_PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr,
                                  nullptr) == 1;
  if (!good) return base::InternalError("no certificate can be made");
  return PemPair{Text(certificate_text.get()), Text(key_text.get())};
}

base::Status EnsureSelfSignedPair(const std::string& cert_dir, base::WallTime now) {
  const std::string certificate = cert_dir + "/apiserver.crt", key = cert_dir + "/apiserver.key";
  std::error_code error;
  const bool exists =
      std::filesystem::exists(certificate, error) && std::filesystem::exists(key, error);
  if (exists && !IsOursAndEnds(certificate, now)) return base::OkStatus();
  const base::Status made = MakePair(cert_dir, certificate, key, now);
  return exists ? base::OkStatus() : made;
}

}  // namespace strata::net

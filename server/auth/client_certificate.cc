#include "server/auth/client_certificate.h"

#include <fmt/format.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <chrono>
#include <utility>
#include <vector>

#include "base/bytes.h"

namespace strata::auth {
namespace {

constexpr auto kKnownFor = std::chrono::seconds(10);
constexpr size_t kMaxKnown = 4096;

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using X509Ptr = std::unique_ptr<X509, Deleter<X509_free>>;
using StorePtr = std::unique_ptr<X509_STORE, Deleter<X509_STORE_free>>;
using ContextPtr = std::unique_ptr<X509_STORE_CTX, Deleter<X509_STORE_CTX_free>>;
using BioPtr = std::unique_ptr<BIO, Deleter<BIO_free>>;
struct StackDeleter {
  void operator()(STACK_OF(X509) * stack) const { sk_X509_pop_free(stack, X509_free); }
};
using StackPtr = std::unique_ptr<STACK_OF(X509), StackDeleter>;

std::vector<std::string> SubjectValues(X509* certificate, int nid) {
  std::vector<std::string> values;
  const X509_NAME* name = X509_get_subject_name(certificate);
  for (int at = X509_NAME_get_index_by_NID(name, nid, -1); at >= 0;
       at = X509_NAME_get_index_by_NID(name, nid, at)) {
    unsigned char* text = nullptr;
    const int length =
        ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    if (length >= 0)
      values.emplace_back(reinterpret_cast<char*>(text), static_cast<size_t>(length));
    OPENSSL_free(text);
  }
  return values;
}

}  // namespace

struct ClientCertificate::Roots {
  StorePtr store{X509_STORE_new()};
};

ClientCertificate::ClientCertificate(std::shared_ptr<State> state, const base::Clock& clock)
    : state_(std::move(state)), clock_(clock) {}

ClientCertificate::~ClientCertificate() = default;

base::StatusOr<std::unique_ptr<ClientCertificate>> ClientCertificate::Open(
    const std::string& ca_file, files::FileWatcher& watcher, const base::Clock& clock) {
  auto state = std::make_shared<State>();
  STRATA_RETURN_IF_ERROR(watcher.Watch(
      "client-ca-file", {ca_file}, [state, ca_file](const std::vector<std::string>& contents) {
        auto roots = std::make_shared<Roots>();
        const BioPtr bio(BIO_new_mem_buf(contents[0].data(), static_cast<int>(contents[0].size())));
        int count = 0;
        while (const X509Ptr certificate{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) {
          X509_STORE_add_cert(roots->store.get(), certificate.get());
          ++count;
        }
        if (count == 0)
          return base::InvalidArgumentError(fmt::format("{} holds no PEM certificate", ca_file));
        absl::MutexLock lock(&state->mu);
        state->roots = std::move(roots);
        state->known.clear();
        return base::OkStatus();
      }));
  return std::unique_ptr<ClientCertificate>(new ClientCertificate(std::move(state), clock));
}

Authentication ClientCertificate::Verify(const std::vector<std::string>& chain,
                                         const Roots& roots) const {
  Authentication result;
  result.result = Authentication::Result::kError;
  const StackPtr certificates(sk_X509_new_null());
  for (const std::string& der : chain) {
    const auto* at = reinterpret_cast<const unsigned char*>(der.data());
    X509* certificate = d2i_X509(nullptr, &at, static_cast<long>(der.size()));
    if (certificate == nullptr) {
      result.error = "the client certificate can't be parsed";
      return result;
    }
    sk_X509_push(certificates.get(), certificate);
  }
  X509* leaf = sk_X509_value(certificates.get(), 0);
  const ContextPtr context(X509_STORE_CTX_new());
  X509_STORE_CTX_init(context.get(), roots.store.get(), leaf, certificates.get());
  X509_STORE_CTX_set_purpose(context.get(), X509_PURPOSE_SSL_CLIENT);
  X509_STORE_CTX_set_time(context.get(), 0, std::chrono::system_clock::to_time_t(clock_.WallNow()));
  if (X509_verify_cert(context.get()) != 1) {
    result.error =
        fmt::format("verifying the client certificate failed: {}",
                    X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get())));
    return result;
  }
  const std::vector<std::string> names = SubjectValues(leaf, NID_commonName);
  if (names.empty() || names.back().empty()) {
    result.result = Authentication::Result::kNoOpinion;
    return result;
  }
  auto user = std::make_shared<UserInfo>();
  user->name = names.back();
  user->groups = SubjectValues(leaf, NID_organizationName);
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(chain[0].data()), chain[0].size(), digest);
  user->extra["authentication.kubernetes.io/credential-id"] = {
      "X509SHA256=" + base::ToHex({reinterpret_cast<const char*>(digest), sizeof digest})};
  result.result = Authentication::Result::kUser;
  result.user = std::move(user);
  return result;
}

void ClientCertificate::Authenticate(const http::Request& request, Done done) const {
  if (request.peer == nullptr || request.peer->certificate_chain.empty()) return done({});
  const std::vector<std::string>& chain = request.peer->certificate_chain;
  std::string all;
  for (const std::string& der : chain) all += der;
  Digest digest;
  SHA256(reinterpret_cast<const unsigned char*>(all.data()), all.size(), digest.data());

  const auto now = clock_.Now();
  Authentication result;
  std::shared_ptr<const Roots> roots;
  {
    absl::MutexLock lock(&state_->mu);
    const auto known = state_->known.find(digest);
    if (known != state_->known.end() && known->second.until > now) {
      result = known->second.result;
    } else {
      roots = state_->roots;
    }
  }
  if (roots == nullptr) return done(std::move(result));
  result = Verify(chain, *roots);
  {
    absl::MutexLock lock(&state_->mu);
    if (state_->known.size() >= kMaxKnown) state_->known.clear();
    // Not what was verified against roots that have been replaced meanwhile.
    if (state_->roots == roots) state_->known[digest] = {result, now + kKnownFor};
  }
  done(std::move(result));
}

}  // namespace strata::auth

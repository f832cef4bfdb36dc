#include "server/auth/ca_pool.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <chrono>
#include <ctime>
#include <utility>

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

base::WallTime NotAfter(const X509* certificate) {
  std::tm utc{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &utc) != 1) return {};
  return std::chrono::system_clock::from_time_t(timegm(&utc));
}

}  // namespace

struct CaPool::Roots {
  StorePtr store{X509_STORE_new()};
};

base::Status CaPool::Set(std::string_view pem) {
  auto roots = std::make_shared<Roots>();
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  int count = 0;
  while (const X509Ptr certificate{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) {
    X509_STORE_add_cert(roots->store.get(), certificate.get());
    ++count;
  }
  ERR_clear_error();  // the end is an error to it
  if (count == 0) return base::InvalidArgumentError("no PEM certificate");
  base::MutexLock lock(&mu_);
  roots_ = std::move(roots);
  known_.clear();
  return base::OkStatus();
}

CaPool::Verdict CaPool::Judge(const std::vector<std::string>& chain, const Roots& roots) const {
  const StackPtr certificates(sk_X509_new_null());
  for (const std::string& der : chain) {
    const auto* at = reinterpret_cast<const unsigned char*>(der.data());
    X509* certificate = d2i_X509(nullptr, &at, static_cast<long>(der.size()));
    if (certificate == nullptr) return {"the client certificate can't be parsed", nullptr, {}};
    sk_X509_push(certificates.get(), certificate);
  }
  X509* leaf = sk_X509_value(certificates.get(), 0);
  const base::WallTime not_after = NotAfter(leaf);
  const ContextPtr context(X509_STORE_CTX_new());
  X509_STORE_CTX_init(context.get(), roots.store.get(), leaf, certificates.get());
  X509_STORE_CTX_set_purpose(context.get(), X509_PURPOSE_SSL_CLIENT);
  X509_STORE_CTX_set_time(context.get(), 0, std::chrono::system_clock::to_time_t(clock_.WallNow()));
  if (X509_verify_cert(context.get()) != 1) {
    return {fmt::format("verifying the client certificate failed: {}",
                        X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get()))),
            nullptr, not_after};
  }
  const std::vector<std::string> names = SubjectValues(leaf, NID_commonName);
  if (names.empty() || names.back().empty()) return {"", nullptr, not_after};
  auto user = std::make_shared<UserInfo>();
  user->name = names.back();
  user->groups = SubjectValues(leaf, NID_organizationName);
  const TokenDigest digest = DigestOf("", chain[0]);
  user->extra["authentication.kubernetes.io/credential-id"] = {
      "X509SHA256=" + base::ToHex({reinterpret_cast<const char*>(digest.data()), digest.size()})};
  return {"", std::move(user), not_after};
}

std::shared_ptr<const CaPool::Verdict> CaPool::Verify(const std::vector<std::string>& chain) const {
  std::string all;
  for (const std::string& der : chain) all += der;
  const TokenDigest digest = DigestOf("", all);
  const auto now = clock_.Now();
  std::shared_ptr<const Roots> roots;
  {
    base::MutexLock lock(&mu_);
    if (roots_ == nullptr) return nullptr;
    const auto known = known_.find(digest);
    if (known != known_.end() && known->second.until > now) return known->second.verdict;
    roots = roots_;
  }
  auto verdict = std::make_shared<const Verdict>(Judge(chain, *roots));
  base::MutexLock lock(&mu_);
  if (known_.size() >= kMaxKnown) known_.clear();
  // Not what was verified against roots that have been replaced meanwhile.
  if (roots_ == roots) known_[digest] = {verdict, now + kKnownFor};
  return verdict;
}

}  // namespace strata::auth

#include "lib/x509/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "lib/x509/constraints.h"
#include "lib/x509/host_name.h"
#include "lib/x509/pem.h"
#include "lib/x509/policies.h"

namespace strata::x509 {
namespace {

constexpr int kMaxSteps = 100;  // verify.go maxChainSignatureChecks
// Each takes up to a millisecond, and whoever connects chooses how many there are. A chain needs
// one for each of its certificates, and some more where a CA has another key under its old name.
constexpr size_t kMaxSignatures = 16;
constexpr int kMaxRsaBits = 8192;  // crypto/tls handshake_client.go defaultMaxRSAKeySize

using Path = std::vector<const Certificate*>;

enum class Place : uint8_t { kLeaf, kIntermediate, kRoot };

base::Status CheckTime(const Certificate& certificate, base::WallTime now) {
  const auto second = std::chrono::floor<std::chrono::seconds>(now);
  const int64_t seconds = second.time_since_epoch().count();
  if (seconds < certificate.not_before) {
    return base::OutOfRangeError(
        fmt::format("{} is not yet valid: it will be from {} on, now it is {}", certificate.Text(),
                    TimeText(certificate.not_before), TimeText(seconds)));
  }
  if (seconds > certificate.not_after || (seconds == certificate.not_after && now > second)) {
    return base::OutOfRangeError(fmt::format("{} has expired: it was valid until {}, now it is {}",
                                             certificate.Text(), TimeText(certificate.not_after),
                                             TimeText(seconds)));
  }
  return base::OkStatus();
}

// verify.go isValid: whether `certificate` may be at the end of `path`.
base::Status CheckPlace(const Certificate& certificate, Place place, const Path& path,
                        base::WallTime now) {
  if (!certificate.unhandled.empty()) {
    return base::PermissionDeniedError(
        fmt::format("{} has a critical extension that nobody here understands ({})",
                    certificate.Text(), certificate.unhandled));
  }
  STRATA_RETURN_IF_ERROR(CheckTime(certificate, now));
  if (place == Place::kIntermediate && !(certificate.has_basic_constraints && certificate.is_ca))
    return base::PermissionDeniedError(fmt::format("{} is not a CA", certificate.Text()));
  if (certificate.has_basic_constraints && certificate.max_path >= 0 && !path.empty() &&
      static_cast<int64_t>(path.size()) - 1 > certificate.max_path) {
    return base::PermissionDeniedError(
        fmt::format("{} allows {} CAs below it (pathlen), and there are {}", certificate.Text(),
                    certificate.max_path, path.size() - 1));
  }
  return base::OkStatus();
}

// verify.go alreadyInChain: the same subject, key and names, whatever else differs.
bool IsIn(const Path& path, const Certificate& candidate) {
  for (const Certificate* one : path) {
    if (one->raw_subject != candidate.raw_subject || one->raw_key != candidate.raw_key) continue;
    if (one->has_names != candidate.has_names) return false;
    if (!one->has_names || one->raw_names == candidate.raw_names) return true;
  }
  return false;
}

// verify.go buildChains.
class Builder {
 public:
  Builder(const Pool& roots, const Pool& intermediates, base::WallTime now)
      : roots_(roots), intermediates_(intermediates), now_(now) {}

  // Comes first. Where no root has signed any of `chain` that a path may lead over there is none:
  // then nobody looks at other signatures, and Build finds out by names what is missing.
  void LookForAnchor(const Chain& chain) {
    hopeless_ = std::none_of(chain.begin(), chain.end(), [&](const CertificatePtr& one) {
      if (one != chain[0] && !one->is_ca) return false;
      const auto parents = roots_.ParentsOf(*one);
      return std::any_of(parents.begin(), parents.end(),
                         [&](const Certificate* root) { return CheckSigned(*one, *root).ok(); });
    });
  }

  // Goes on from the last of `path`.
  void Build(const Path& path) {
    const Certificate& last = *path.back();
    end_ = &last;
    for (const Certificate* root : roots_.ParentsOf(last)) Consider(path, *root, Place::kRoot);
    for (const Certificate* parent : intermediates_.ParentsOf(last))
      Consider(path, *parent, Place::kIntermediate);
  }

  const std::vector<Path>& found() const { return found_; }

  // Why there is none.
  base::Status Failure(const Path& path) const {
    if (gave_up_) {
      return base::UnauthenticatedError(fmt::format(
          "{}: gave up after {} signatures and {} certificates that might lead to a trusted CA",
          path[0]->Text(), signatures_.size(), steps_));
    }
    const std::string unknown =
        fmt::format("{} is signed by an unknown authority: {} is none of the {} trusted",
                    end_->Text(), end_->issuer.text, roots_.all().size());
    if (!hint_) return base::UnauthenticatedError(unknown);
    if (absl::IsOutOfRange(hint_->why)) return hint_->why;
    return base::UnauthenticatedError(fmt::format("{} is signed by no trusted authority: {}: {}",
                                                  path[0]->Text(), hint_->candidate->Text(),
                                                  base::Message(hint_->why)));
  }

 private:
  struct Hint {
    const Certificate* candidate;
    base::Status why;
  };
  struct Signature {
    const Certificate* child;
    std::string_view raw_key;
    base::Status status;
  };

  // Whether it is the key's. Checked once, however many certificates show that key: of a CA that is
  // renewed, or signed by several others.
  base::Status CheckKey(const Certificate& child, const Certificate& parent) {
    for (const Signature& known : signatures_) {
      if (known.child == &child && known.raw_key == parent.raw_key) return known.status;
    }
    if (hopeless_) return base::OkStatus();
    if (signatures_.size() == kMaxSignatures) {
      gave_up_ = true;
      return base::UnauthenticatedError("nobody looked at its signature");
    }
    signatures_.push_back(
        {&child, parent.raw_key,
         CheckSignature(child.signature_algorithm, child.tbs, child.signature, parent.key)});
    return signatures_.back().status;
  }

  // x509.go CheckSignatureFrom.
  base::Status CheckSigned(const Certificate& child, const Certificate& parent) {
    if (parent.has_basic_constraints ? !parent.is_ca : parent.version == 3)
      return base::PermissionDeniedError("it is not a CA (basicConstraints)");
    if (!parent.may_sign)
      return base::PermissionDeniedError("it may not sign certificates (keyUsage)");
    return base::Annotate(CheckKey(child, parent), child.Text());
  }

  void Consider(const Path& path, const Certificate& candidate, Place place) {
    if (steps_ == kMaxSteps) gave_up_ = true;
    if (gave_up_) return;
    ++steps_;
    if (candidate.key.algorithm == KeyAlgorithm::kUnknown || IsIn(path, candidate)) return;
    base::Status status = CheckSigned(*path.back(), candidate);
    if (status.ok()) status = CheckPlace(candidate, place, path, now_);
    if (!status.ok()) {
      if (!hint_) hint_ = {&candidate, std::move(status)};
      return;
    }
    Path longer = path;
    longer.push_back(&candidate);
    if (place == Place::kRoot) {
      // No path gets here where signatures weren't looked at; nor may one ever.
      if (!hopeless_) found_.push_back(std::move(longer));
    } else {
      Build(longer);
    }
  }

  const Pool& roots_;
  const Pool& intermediates_;
  const base::WallTime now_;
  std::vector<Signature> signatures_;  // that were checked
  int steps_ = 0;                      // certificates that were considered
  bool gave_up_ = false;
  bool hopeless_ = false;  // no root has signed anything
  std::vector<Path> found_;
  std::optional<Hint> hint_;          // the first candidate that was refused
  const Certificate* end_ = nullptr;  // how far the last path led
};

bool Allows(const Certificate& certificate, Usage usage) {
  if (!certificate.has_usages || certificate.any_usage) return true;
  return usage == Usage::kClient ? certificate.client_usage : certificate.server_usage;
}

// Extended key usages nest: each certificate that has any has to have this one.
base::Status CheckUsage(const Path& path, Usage usage) {
  for (auto at = path.rbegin(); at != path.rend(); ++at) {
    if (Allows(**at, usage)) continue;
    return base::PermissionDeniedError(
        fmt::format("{} is not for {} (extendedKeyUsage)", (*at)->Text(),
                    usage == Usage::kClient ? "clients: clientAuth is missing"
                                            : "servers: serverAuth is missing"));
  }
  return base::OkStatus();
}

base::Status CheckPath(const Path& path, Usage usage) {
  if (!PoliciesAreValid(path)) {
    return base::PermissionDeniedError(
        fmt::format("{} has no policy that its CAs require", path[0]->Text()));
  }
  STRATA_RETURN_IF_ERROR(CheckUsage(path, usage));
  return base::Annotate(CheckConstraints(path), path[0]->Text());
}

base::Status CheckPeerKeys(const Chain& chain) {
  for (const CertificatePtr& certificate : chain) {
    if (certificate->key.rsa_bits <= kMaxRsaBits) continue;
    return base::InvalidArgumentError(
        fmt::format("{} has an RSA key of more than {} bits", certificate->Text(), kMaxRsaBits));
  }
  const KeyAlgorithm own = chain[0]->key.algorithm;
  if (own == KeyAlgorithm::kUnknown || own == KeyAlgorithm::kDsa) {
    return base::InvalidArgumentError(
        fmt::format("{} has a key that is none of RSA, ECDSA and Ed25519", chain[0]->Text()));
  }
  return base::OkStatus();
}

}  // namespace

base::StatusOr<Chain> ParseChain(std::span<const std::string> der) {
  Chain chain;
  for (const std::string& one : der) {
    auto certificate = Certificate::Parse(one);
    if (!certificate.ok()) {
      return base::Annotate(
          certificate.status(),
          fmt::format("certificate {} that it presents can't be parsed", chain.size() + 1));
    }
    chain.push_back(*std::move(certificate));
  }
  if (chain.empty()) return base::InvalidArgumentError("it presents no certificate");
  STRATA_RETURN_IF_ERROR(CheckPeerKeys(chain));
  return chain;
}

base::StatusOr<Chain> ParseChain(std::string_view pem) {
  std::vector<std::string> der;
  while (auto block = NextPemBlock(pem)) der.push_back(std::move(block->bytes));
  return ParseChain(std::span<const std::string>(der));
}

base::Status Verify(const Chain& chain, const Pool& roots, const Options& options) {
  const Path start = {chain[0].get()};
  STRATA_RETURN_IF_ERROR(CheckPlace(*chain[0], Place::kLeaf, {}, options.now));
  if (!options.host.empty()) STRATA_RETURN_IF_ERROR(CheckHost(*chain[0], options.host));

  Pool intermediates;
  for (auto one = chain.begin() + 1; one != chain.end(); ++one) intermediates.Add(*one);
  Builder builder(roots, intermediates, options.now);
  std::vector<Path> paths;
  if (roots.Contains(*chain[0])) {
    paths.push_back(start);
  } else {
    builder.LookForAnchor(chain);
    builder.Build(start);
    paths = builder.found();
    if (paths.empty()) return builder.Failure(start);
  }

  // One good path is enough; of none, the first says why.
  std::optional<base::Status> failure;
  for (const Path& path : paths) {
    base::Status status = CheckPath(path, options.usage);
    if (status.ok()) return status;
    if (!failure) failure = std::move(status);
  }
  return *failure;
}

}  // namespace strata::x509

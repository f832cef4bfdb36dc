#include "lib/x509/certificate.h"

#include <fmt/format.h>

#include <ctime>
#include <utility>

#include "lib/base/bytes.h"
#include "lib/x509/der.h"
#include "lib/x509/extensions.h"

namespace strata::x509 {
namespace {

base::Status Malformed(std::string_view what) {
  return base::InvalidArgumentError(fmt::format("malformed {}", what));
}

base::Status ReadVersion(Der& tbs, Certificate& certificate) {
  if (!tbs.NextIs(tag::Constructed(0))) return base::OkStatus();
  const auto wrapped = tbs.Read(tag::Constructed(0));
  if (!wrapped) return Malformed("version");
  Der inside(*wrapped);
  const auto version = inside.ReadInt64();
  if (!version || !inside.empty() || *version < 0 || *version > 2) return Malformed("version");
  certificate.version = static_cast<int>(*version) + 1;
  return base::OkStatus();
}

base::Status ReadSerial(Der& tbs, Certificate& certificate) {
  const auto serial = tbs.ReadInteger();
  if (!serial) return Malformed("serial number");
  if ((*serial)[0] < 0) return base::InvalidArgumentError("its serial number is negative");
  certificate.serial = *serial;
  return base::OkStatus();
}

// Within the signature and beside it: they have to be the same bytes.
base::Status ReadAlgorithm(Der& tbs, Der& outer, Certificate& certificate) {
  const auto inner = tbs.Read(tag::kSequence);
  const auto repeated = outer.Read(tag::kSequence);
  if (!inner || !repeated) return Malformed("signature algorithm");
  if (*inner != *repeated)
    return base::InvalidArgumentError("its two signature algorithms aren't the same");
  STRATA_ASSIGN_OR_RETURN(certificate.signature_algorithm, ParseSignatureAlgorithm(*inner));
  return base::OkStatus();
}

base::Status ReadValidity(Der& tbs, Certificate& certificate) {
  const auto contents = tbs.Read(tag::kSequence);
  if (!contents) return Malformed("validity");
  Der validity(*contents);
  const auto before = validity.ReadTime();
  const auto after = before ? validity.ReadTime() : std::nullopt;
  if (!after) return Malformed("validity");
  certificate.not_before = *before;
  certificate.not_after = *after;
  return base::OkStatus();
}

base::StatusOr<std::string_view> ReadName(Der& tbs, Name& name) {
  const auto whole = tbs.ReadWhole(tag::kSequence);
  if (!whole) return Malformed("distinguished name");
  STRATA_ASSIGN_OR_RETURN(name, Name::Parse(*whole));
  return *whole;
}

// What follows the key: identifiers that nobody uses, and the extensions of version 3.
base::Status ReadRest(Der& tbs, Certificate& certificate) {
  if (certificate.version == 1) return base::OkStatus();
  for (const uint8_t identifier : {tag::Context(1), tag::Context(2)}) {
    if (tbs.NextIs(identifier) && !tbs.Read(identifier)) return Malformed("unique identifier");
  }
  if (certificate.version < 3 || !tbs.NextIs(tag::Constructed(3))) return base::OkStatus();
  const auto extensions = tbs.Read(tag::Constructed(3));
  if (!extensions) return Malformed("extensions");
  return ReadExtensions(*extensions, certificate);
}

base::Status Read(Certificate& certificate) {
  Der file(certificate.raw);
  const auto whole = file.Read(tag::kSequence);
  if (!whole) return Malformed("certificate");
  if (!file.empty()) return base::InvalidArgumentError("something follows the certificate");
  Der outer(*whole);
  const auto tbs_whole = outer.ReadWhole(tag::kSequence);
  if (!tbs_whole) return Malformed("certificate");
  certificate.tbs = *tbs_whole;
  Der tbs(*Der(*tbs_whole).Read(tag::kSequence));

  STRATA_RETURN_IF_ERROR(ReadVersion(tbs, certificate));
  STRATA_RETURN_IF_ERROR(ReadSerial(tbs, certificate));
  STRATA_RETURN_IF_ERROR(ReadAlgorithm(tbs, outer, certificate));
  STRATA_ASSIGN_OR_RETURN(certificate.raw_issuer, ReadName(tbs, certificate.issuer));
  STRATA_RETURN_IF_ERROR(ReadValidity(tbs, certificate));
  STRATA_ASSIGN_OR_RETURN(certificate.raw_subject, ReadName(tbs, certificate.subject));
  const auto key = tbs.ReadWhole(tag::kSequence);
  if (!key) return Malformed("public key");
  certificate.raw_key = *key;
  STRATA_ASSIGN_OR_RETURN(certificate.key, PublicKey::Parse(*key));
  STRATA_RETURN_IF_ERROR(ReadRest(tbs, certificate));

  const auto signature = outer.ReadBits();
  if (!signature) return Malformed("signature");
  certificate.signature = signature->RightAligned();
  return base::OkStatus();
}

}  // namespace

base::StatusOr<CertificatePtr> Certificate::Parse(std::string_view der) {
  auto certificate = std::make_shared<Certificate>();
  certificate->raw = der;
  STRATA_RETURN_IF_ERROR(Read(*certificate));
  return CertificatePtr(std::move(certificate));
}

std::string Certificate::Text() const {
  return fmt::format("{} (serial {})", subject.text, base::ToHex(serial.substr(0, 20)));
}

std::string TimeText(int64_t seconds) {
  const std::time_t time = seconds;
  std::tm utc{};
  gmtime_r(&time, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", utc.tm_year + 1900, utc.tm_mon + 1,
                     utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

}  // namespace strata::x509

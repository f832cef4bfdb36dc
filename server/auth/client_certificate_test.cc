#include "server/auth/client_certificate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace strata::auth {
namespace {

constexpr int64_t kDay = 86'400;

// A key and a certificate of it; real ones, made here.
struct Identity {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  ~Identity() {
    EVP_PKEY_free(key);
    X509_free(certificate);
  }
  std::string Der() const {
    unsigned char* der = nullptr;
    const int size = i2d_X509(certificate, &der);
    std::string out(reinterpret_cast<char*>(der), static_cast<size_t>(size));
    OPENSSL_free(der);
    return out;
  }
};

void AddExtension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

std::unique_ptr<Identity> Issue(const Identity* issuer, const std::string& name,
                                const std::vector<std::string>& groups, int64_t not_before,
                                int64_t not_after, const char* usage) {
  auto identity = std::make_unique<Identity>();
  X509* x = identity->certificate;
  X509_set_version(x, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x), 7);
  ASN1_TIME_set(X509_getm_notBefore(x), not_before);
  ASN1_TIME_set(X509_getm_notAfter(x), not_after);
  X509_set_pubkey(x, identity->key);
  X509_NAME* subject = X509_get_subject_name(x);
  const auto add = [&](const char* field, const std::string& value) {
    X509_NAME_add_entry_by_txt(subject, field, MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(value.data()),
                               static_cast<int>(value.size()), -1, 0);
  };
  for (const std::string& group : groups) add("O", group);
  if (!name.empty()) add("CN", name);
  const Identity* signer = issuer == nullptr ? identity.get() : issuer;
  X509_set_issuer_name(x, X509_get_subject_name(signer->certificate));
  AddExtension(x, signer->certificate, NID_basic_constraints,
               issuer == nullptr ? "critical,CA:TRUE" : "CA:FALSE");
  if (usage != nullptr) AddExtension(x, signer->certificate, NID_ext_key_usage, usage);
  X509_sign(x, signer->key, EVP_sha256());
  return identity;
}

class Certificates : public testing::Test {
 protected:
  Certificates() {
    WriteCa(*ca);
    authenticator = *ClientCertificate::Open(path, watcher, clock);
  }
  ~Certificates() override { std::filesystem::remove(path); }

  void WriteCa(const Identity& authority) {
    FILE* file = fopen((path + ".new").c_str(), "w");
    PEM_write_X509(file, authority.certificate);
    fclose(file);
    std::filesystem::rename(path + ".new", path);
  }
  std::string Who(const Identity* identity) {
    auto peer = std::make_shared<http::Peer>();
    if (identity != nullptr) peer->certificate_chain.push_back(identity->Der());
    http::Request request;
    request.peer = peer;
    std::string who = "nobody";
    authenticator->Authenticate(request, [&](Authentication r) {
      if (r.result == Authentication::Result::kError) who = "error: " + r.error;
      if (r.result != Authentication::Result::kUser) return;
      who = r.user->name;
      for (const std::string& group : r.user->groups) who += "," + group;
    });
    return who;
  }

  base::FakeClock clock;
  const int64_t now = std::chrono::system_clock::to_time_t(clock.WallNow());
  const std::string path =
      (std::filesystem::temp_directory_path() / ("strata-ca-" + std::to_string(getpid()))).string();
  const std::unique_ptr<Identity> ca = Issue(nullptr, "ca", {}, now - kDay, now + kDay, nullptr);
  obs::Metrics metrics;
  files::FileWatcher watcher{
      {.poll_interval = std::chrono::milliseconds(0)}, obs::NullLogger(), metrics};
  std::unique_ptr<ClientCertificate> authenticator;
};

TEST_F(Certificates, TheCommonNameIsTheUserAndOrganizationsAreGroups) {
  EXPECT_EQ(
      Who(Issue(ca.get(), "alice", {"devs", "ops"}, now - kDay, now + kDay, "clientAuth").get()),
      "alice,devs,ops");
  EXPECT_EQ(Who(Issue(ca.get(), "bob", {}, now - kDay, now + kDay, nullptr).get()), "bob");
  EXPECT_EQ(Who(nullptr), "nobody");
  EXPECT_EQ(Who(Issue(ca.get(), "", {"devs"}, now - kDay, now + kDay, "clientAuth").get()),
            "nobody");
}

TEST_F(Certificates, WhatDoesNotVerifyIsAnError) {
  const auto other = Issue(nullptr, "ca", {}, now - kDay, now + kDay, nullptr);
  const struct {
    std::unique_ptr<Identity> identity;
    std::string error;
  } kCases[] = {
      {Issue(other.get(), "eve", {}, now - kDay, now + kDay, "clientAuth"), "error: verifying"},
      {Issue(nullptr, "eve", {}, now - kDay, now + kDay, "clientAuth"), "error: verifying"},
      {Issue(ca.get(), "eve", {}, now - kDay, now - 1, "clientAuth"), "expired"},
      {Issue(ca.get(), "eve", {}, now + 60, now + kDay, "clientAuth"), "not yet valid"},
      {Issue(ca.get(), "eve", {}, now - kDay, now + kDay, "serverAuth"), "purpose"},
  };
  for (const auto& c : kCases) EXPECT_THAT(Who(c.identity.get()), testing::HasSubstr(c.error));
}

TEST_F(Certificates, ExpiryAndANewCaAreSeen) {
  const auto alice = Issue(ca.get(), "alice", {}, now - kDay, now + 5, "clientAuth");
  EXPECT_EQ(Who(alice.get()), "alice");
  clock.Advance(std::chrono::seconds(11));
  EXPECT_THAT(Who(alice.get()), testing::HasSubstr("expired"));

  const auto bob = Issue(ca.get(), "bob", {}, now - kDay, now + kDay, "clientAuth");
  EXPECT_EQ(Who(bob.get()), "bob");
  WriteCa(*Issue(nullptr, "other", {}, now - kDay, now + kDay, nullptr));
  watcher.Poll();
  EXPECT_THAT(Who(bob.get()), testing::HasSubstr("error: verifying"));
}

}  // namespace
}  // namespace strata::auth

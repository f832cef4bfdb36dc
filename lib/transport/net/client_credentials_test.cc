#include "lib/transport/net/client_credentials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <fstream>
#include <utility>

#include "lib/base/clock.h"
#include "test/support/certificates.h"

namespace strata::net {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing_support::Issue;

constexpr int64_t kDay = 86'400;

class ClientTlsFiles : public testing::Test {
 protected:
  ClientTlsFiles() {
    fs::create_directories(root);
    WriteCa("ca");
    WritePair("first", now + kDay);
  }
  ~ClientTlsFiles() override { fs::remove_all(root); }

  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(root / name, std::ios::binary) << text;
  }
  std::string WriteCa(const std::string& name) const {
    const std::string pem = Issue(nullptr, name, {}, now - kDay, now + kDay, nullptr)->Pem();
    Write("ca", pem);
    return pem;
  }
  // The certificate and key, as they are in the files now.
  std::pair<std::string, std::string> WritePair(const std::string& name, int64_t ends) const {
    const auto ca = Issue(nullptr, "ca", {}, now - kDay, now + kDay, nullptr);
    const auto identity = Issue(ca.get(), name, {}, now - kDay, ends, "clientAuth");
    Write("cert", identity->Pem());
    Write("key", identity->KeyPem());
    return {identity->Pem(), identity->KeyPem()};
  }
  base::StatusOr<std::unique_ptr<ClientCredentials>> Load() {
    return ClientCredentials::Load({.server = "server",
                                    .protocol = "h2",
                                    .ca = {"--ca", root / "ca"},
                                    .certificate = {"--cert", root / "cert"},
                                    .key = {"--key", root / "key"}},
                                   log, metrics.AddGauge("certificate_ends", ""));
  }
  std::string Refusal() { return std::string(base::Message(Load().status())); }
  // What was logged since the last call.
  std::vector<std::string> Lines() { return std::exchange(lines, {}); }
  static std::string Shown(ClientCredentials& files) { return files.Current().identity->text; }

  const int64_t now = std::time(nullptr);
  const fs::path root = fs::temp_directory_path() / ("strata-tls-" + std::to_string(getpid()));
  std::vector<std::string> lines;
  const base::SystemClock clock;
  const obs::Logger log{obs::LogFormat::kText, 0, clock,
                        [this](std::string_view line) { lines.emplace_back(line); }};
  obs::Metrics metrics;
};

TEST_F(ClientTlsFiles, AreReadAgainEachTime) {
  const auto files = *Load();
  EXPECT_THAT(Shown(*files), HasSubstr("CN=first"));
  EXPECT_EQ(files->Current().roots->all().size(), 1u);
  WritePair("second", now + 2 * kDay);
  EXPECT_THAT(Shown(*files), HasSubstr("CN=second"));
  EXPECT_THAT(Lines(), ElementsAre(HasSubstr("CN=second")));
  EXPECT_THAT(metrics.Text(), HasSubstr("certificate_ends"));
  const std::string old = WriteCa("old");
  const std::string fresh = WriteCa("new");
  Write("ca", "# two, while one takes over\r\n" + old + "\r\nand\r\n" + fresh);
  EXPECT_EQ(files->Current().roots->all().size(), 2u);
  Write("ca", fresh);
  EXPECT_EQ(files->Current().roots->all().size(), 1u);
  EXPECT_THAT(Lines(), IsEmpty());
}

TEST_F(ClientTlsFiles, StayAsTheyWereWhileWhatIsThereCantBeUsed) {
  const auto [certificate, key] = WritePair("first", now + kDay);
  const auto files = *Load();
  const struct {
    const char* what;
    std::string file, content, logged;
  } kCases[] = {
      {"another's key", "key", Issue(nullptr, "x", {}, now, now + 9, nullptr)->KeyPem(),
       "is not the key of the certificate"},
      {"half a key", "key", key.substr(0, key.size() / 2), "no PEM private key"},
      {"half a certificate", "cert", certificate.substr(0, certificate.size() / 2), "cert"},
      {"an empty certificate", "cert", "", "cert"},
      {"an empty CA", "ca", "", "ca"},
      {"no CA", "ca", "nothing", "ca"},
  };
  const auto good = [&, ca = WriteCa("ca")] {
    Write("ca", ca);
    Write("cert", certificate);
    Write("key", key);
  };
  good();
  files->Current();
  Lines();
  for (const auto& c : kCases) {
    Write(c.file, c.content);
    for (int i = 0; i < 3; ++i) {
      EXPECT_THAT(Shown(*files), HasSubstr("CN=first")) << c.what;
      EXPECT_EQ(files->Current().roots->all().size(), 1u) << c.what;
    }
    EXPECT_THAT(Lines(), ElementsAre(testing::AllOf(testing::StartsWith("W"), HasSubstr("--"),
                                                    HasSubstr(c.logged))))
        << c.what << ", once";
    good();
    files->Current();
    EXPECT_THAT(Lines(), ElementsAre(testing::StartsWith("I"))) << c.what;
  }
  for (const char* name : {"cert", "key", "ca"}) {
    fs::rename(root / name, root / "away");
    EXPECT_THAT(Shown(*files), HasSubstr("CN=first"));
    EXPECT_THAT(Lines(), ElementsAre(HasSubstr("cannot read")));
    fs::rename(root / "away", root / name);
    EXPECT_THAT(Shown(*files), HasSubstr("CN=first"));
    EXPECT_THAT(Lines(), ElementsAre(testing::StartsWith("I")));
  }
}

TEST_F(ClientTlsFiles, OfTheStartAreRefusedByFlagAndFile) {
  const auto [certificate, key] = WritePair("first", now + kDay);
  const std::string ca = WriteCa("ca");
  const struct {
    std::string file, content, flag, error;
  } kCases[] = {
      {"ca", "", "--ca", "certificate"},
      {"ca", key, "--ca", "certificate"},
      {"cert", "", "--cert", "certificate"},
      {"cert", key, "--cert", "certificate"},
      {"key", certificate, "--key", "no PEM private key"},
      {"key", Issue(nullptr, "x", {}, now, now + 9, nullptr)->KeyPem(), "--key",
       "is not the key of the certificate in "},
  };
  for (const auto& c : kCases) {
    Write("ca", ca);
    Write("cert", certificate);
    Write("key", key);
    Write(c.file, c.content);
    EXPECT_THAT(Refusal(), testing::AllOf(testing::StartsWith(c.flag), HasSubstr(root / c.file),
                                          HasSubstr(c.error)));
  }
  Write("key", key);
  fs::remove(root / "cert");
  EXPECT_THAT(Refusal(), HasSubstr("--cert: cannot read"));
  fs::create_directory(root / "cert");
  EXPECT_THAT(Refusal(), HasSubstr("Is a directory"));
}

TEST_F(ClientTlsFiles, AnEncryptedKeyIsRefusedWithoutAskingAnybody) {
  const auto identity = Issue(nullptr, "x", {}, now, now + kDay, nullptr);
  BIO* const bio = BIO_new(BIO_s_mem());
  const unsigned char passphrase[] = "secret";
  PEM_write_bio_PKCS8PrivateKey(bio, identity->key, EVP_aes_256_cbc(),
                                reinterpret_cast<const char*>(passphrase), 6, nullptr, nullptr);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio, &text);
  Write("key", std::string(text, static_cast<size_t>(size)));
  BIO_free(bio);
  EXPECT_THAT(Refusal(), HasSubstr("has a passphrase"));
}

}  // namespace
}  // namespace strata::net

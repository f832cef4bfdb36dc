#include "storage/rpc/tls.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <fstream>

#include "lib/obs/log.h"
#include "storage/engine/store.h"
#include "storage/rpc/services.h"
#include "test/support/certificates.h"
#include "test/support/temp_dir.h"

namespace strata::rpc {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing_support::Identity;
using testing_support::Issue;

class Tls : public testing::Test {
 protected:
  std::unique_ptr<Identity> Server(const Identity& signer) const {
    auto server = Issue(&signer, "localhost", {}, now - kDay, now + kDay, "serverAuth");
    testing_support::AddExtension(server->certificate, signer.certificate, NID_subject_alt_name,
                                  "DNS:localhost");
    X509_sign(server->certificate, signer.key, EVP_sha256());
    return server;
  }
  // Renamed into place, as tools that rotate do.
  std::string Write(const std::string& name, const std::string& text) const {
    const fs::path path = root / name;
    std::ofstream(path.string() + ".new") << text;
    fs::rename(path.string() + ".new", path);
    return path;
  }
  std::string Refusal(const TlsFiles& files) const {
    return std::string(base::Message(ServerTls::Load(files, obs::NullLogger()).status()));
  }

  static constexpr int64_t kDay = 86'400;
  const int64_t now = std::time(nullptr);
  const testing_support::TempDir dir;
  const fs::path root = dir.path();
  const std::unique_ptr<Identity> ca = Issue(nullptr, "ca", {}, now - kDay, now + kDay, nullptr);
};

TEST_F(Tls, FilesThatCantBeUsedAreNamed) {
  const auto one = Server(*ca), other = Server(*ca);
  const std::string cert = Write("cert", one->Pem()), key = Write("key", one->KeyPem());
  const std::string other_key = Write("other", other->KeyPem()), text = Write("text", "hello");
  EXPECT_EQ(Refusal({cert, key, ""}), "");
  EXPECT_THAT(Refusal({root / "none", key, ""}), HasSubstr("none: No such file"));
  EXPECT_THAT(Refusal({text, key, ""}), HasSubstr("text: no PEM certificate"));
  EXPECT_THAT(Refusal({cert, text, ""}), HasSubstr("text: no PEM private key"));
  EXPECT_THAT(Refusal({cert, other_key, ""}),
              HasSubstr("other: it is not the key of the certificate in"));
  EXPECT_THAT(Refusal({cert, key, text}), HasSubstr("text: no PEM certificate"));
}

TEST_F(Tls, LetsInWhomEtcdLetsIn) {
  const base::SystemClock clock;
  obs::Metrics metrics;
  absl::Mutex mu;
  std::string lines;
  const auto store = *engine::Store::Open(root / "store", {}, clock, obs::NullLogger(), metrics);
  KvService kv(*store, {}, 1 << 20);
  const auto own = Server(*ca);
  // Its issuer isn't there: it is an anchor by itself.
  const auto unseen = Issue(nullptr, "unseen", {}, now - kDay, now + kDay, nullptr);
  const auto issuing = Issue(unseen.get(), "issuing", {}, now - kDay, now + kDay, nullptr);
  X509_EXTENSION_free(X509_delete_ext(issuing->certificate, 0));
  testing_support::AddExtension(issuing->certificate, unseen->certificate, NID_basic_constraints,
                                "critical,CA:TRUE");
  X509_sign(issuing->certificate, unseen->key, EVP_sha256());
  const TlsFiles files{Write("cert", own->Pem()), Write("key", own->KeyPem()),
                       Write("ca", ca->Pem() + issuing->Pem())};
  int port = 0;
  grpc::ServerBuilder builder;
  const obs::Logger log(obs::LogFormat::kText, 0, clock, [&](std::string_view line) {
    absl::MutexLock lock(&mu);
    lines += line;
  });
  const auto tls = *ServerTls::Load(files, log);
  builder.AddListeningPort("localhost:0", tls->Credentials(), &port);
  builder.RegisterService(&kv);
  const auto server = builder.BuildAndStart();
  const auto reads = [&](const Identity* client) {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = ca->Pem();
    if (client != nullptr) {
      options.pem_cert_chain = client->Pem();
      options.pem_private_key = client->KeyPem();
    }
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    const auto stub = etcdserverpb::KV::NewStub(grpc::CreateCustomChannel(
        "localhost:" + std::to_string(port), grpc::SslCredentials(options), arguments));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    etcdserverpb::RangeRequest request;
    request.set_key("a");
    etcdserverpb::RangeResponse response;
    return stub->Range(&context, request, &response).ok();
  };
  EXPECT_TRUE(reads(Issue(ca.get(), "root", {}, now - kDay, now + kDay, "clientAuth").get()));
  EXPECT_TRUE(reads(Issue(issuing.get(), "a", {}, now - kDay, now + kDay, nullptr).get()));
  EXPECT_TRUE(reads(Issue(ca.get(), "ca", {}, now - kDay, now + kDay, nullptr).get()))
      << "named like its CA";
  const auto encipherment = Issue(ca.get(), "b", {}, now - kDay, now + kDay, "clientAuth");
  testing_support::AddExtension(encipherment->certificate, ca->certificate, NID_key_usage,
                                "keyEncipherment,dataEncipherment");
  X509_sign(encipherment->certificate, ca->key, EVP_sha256());
  EXPECT_TRUE(reads(encipherment.get()));

  EXPECT_FALSE(reads(nullptr));
  const auto logs = [&] {
    absl::MutexLock lock(&mu);
    const auto has_line = [&] {
      return lines.find("presents no certificate") != std::string::npos;
    };
    return mu.AwaitWithTimeout(absl::Condition(&has_line), absl::Seconds(20));
  };
  EXPECT_TRUE(logs()) << lines;
  EXPECT_FALSE(reads(Issue(ca.get(), "s", {}, now - kDay, now + kDay, "serverAuth").get()));
  EXPECT_FALSE(reads(Issue(ca.get(), "old", {}, now - 2 * kDay, now - kDay, "clientAuth").get()));
  EXPECT_FALSE(reads(Issue(unseen.get(), "x", {}, now - kDay, now + kDay, "clientAuth").get()));
  server->Shutdown();
}

// A store with TLS whose files are looked at every second.
class TlsFilesChange : public Tls {
 protected:
  TlsFilesChange() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("localhost:0", tls->Credentials(), &port);
    builder.RegisterService(&kv);
    server = builder.BuildAndStart();
  }
  ~TlsFilesChange() override { server->Shutdown(); }

  // Over a connection of its own.
  bool Reads(const Identity& trusted) const {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = trusted.Pem();
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    const auto stub = etcdserverpb::KV::NewStub(grpc::CreateCustomChannel(
        "localhost:" + std::to_string(port), grpc::SslCredentials(options), arguments));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
    etcdserverpb::RangeRequest request;
    request.set_key("a");
    etcdserverpb::RangeResponse response;
    return stub->Range(&context, request, &response).ok();
  }
  bool ReadsSoon(const Identity& trusted) const {
    for (int i = 0; i < 20; ++i) {
      if (Reads(trusted)) return true;
      usleep(500'000);
    }
    return false;
  }

  const base::SystemClock clock;
  obs::Metrics metrics;
  const std::unique_ptr<engine::Store> store =
      *engine::Store::Open(root / "store", {}, clock, obs::NullLogger(), metrics);
  KvService kv{*store, {}, 1 << 20};
  const std::unique_ptr<Identity> first = Server(*ca);
  const std::unique_ptr<Identity> next_ca =
      Issue(nullptr, "next", {}, now - kDay, now + kDay, nullptr);
  const std::unique_ptr<Identity> second = Server(*next_ca);
  const TlsFiles files{Write("cert", first->Pem()), Write("key", first->KeyPem()), "", 1};
  const std::unique_ptr<ServerTls> tls = *ServerTls::Load(files, obs::NullLogger());
  int port = 0;
  std::unique_ptr<grpc::Server> server;
};

TEST_F(TlsFilesChange, NewCertificatesServeNewConnections) {
  EXPECT_TRUE(Reads(*ca));
  Write("key", second->KeyPem());
  Write("cert", second->Pem());
  EXPECT_TRUE(ReadsSoon(*next_ca));
  EXPECT_FALSE(Reads(*ca));
}

TEST_F(TlsFilesChange, WhatWasReadServesOnWhileTheFilesCantBeUsed) {
  const auto serves_on = [&](const char* what) {
    for (int i = 0; i < 5; ++i) {
      EXPECT_TRUE(Reads(*ca)) << what;
      usleep(500'000);
    }
  };
  Write("cert", second->Pem());
  serves_on("a certificate of another key");
  Write("cert", "");
  serves_on("an empty certificate");
  Write("cert", first->Pem().substr(0, 100));
  serves_on("half a certificate");
  fs::remove(root / "cert");
  serves_on("no certificate");
  Write("cert", second->Pem());
  Write("key", "hello");
  serves_on("no key");
  Write("key", second->KeyPem());
  EXPECT_TRUE(ReadsSoon(*next_ca));
}

}  // namespace
}  // namespace strata::rpc

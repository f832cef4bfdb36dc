#include "storage/tool/connection.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "storage/engine/store.h"
#include "storage/rpc/server.h"
#include "test/support/temp_dir.h"

namespace strata::tool {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// An embedded store that listens.
class ConnectionTest : public testing::Test {
 protected:
  ConnectionTest() {
    auto store = engine::Store::Open((directory_ / "store").string(), {}, clock_, obs::NullLogger(),
                                     metrics_);
    EXPECT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  ~ConnectionTest() override {
    server_.reset();
    store_.reset();
  }

  // Returns the URL.
  std::string Serve(rpc::Options options) {
    server_ =
        std::make_unique<rpc::Server>(*store_, std::move(options), obs::NullLogger(), metrics_);
    const base::Status started = server_->Start();
    EXPECT_TRUE(started.ok()) << started;
    return server_->urls().at(0);
  }

  // A write and a read of it: "ok", or the error.
  std::string Try(const ConnectOptions& options) {
    auto connection = Connection::Open(options, clock_, obs::NullLogger(), metrics_);
    if (!connection.ok()) return std::string(base::Message(connection.status()));
    const std::string key = fmt::format("/openshift.io/images/{}", ++writes_);
    const auto written = (*connection)->store().Commit({{key, "v", 0}});
    if (!written.ok()) return std::string(base::Message(written.status()));
    const auto read = (*connection)->store().Read({key, "/none"});
    if (!read.ok()) return std::string(base::Message(read.status()));
    return *written && read->at(0).value == "v" && read->at(1).mod_revision == 0
               ? "ok"
               : "something else was read";
  }

  const testing_support::TempDir dir_;
  const fs::path directory_ = dir_.path();
  const base::SystemClock clock_;
  obs::Metrics metrics_;
  std::unique_ptr<engine::Store> store_;
  std::unique_ptr<rpc::Server> server_;
  int writes_ = 0;
};

TEST_F(ConnectionTest, AsksTheNextServerWhenOneIsDown) {
  const std::string url = Serve({.listen_urls = {"http://127.0.0.1:0"}});
  EXPECT_EQ(Try({.etcd = {.endpoints = {url}}}), "ok");
  EXPECT_EQ(Try({.etcd = {.endpoints = {"http://127.0.0.1:1", url}}}), "ok");
  EXPECT_EQ(Try({.etcd = {.endpoints = {"http://127.0.0.1:1", "http://127.0.0.1:2", url + "/"}}}),
            "ok");
}

TEST_F(ConnectionTest, SpeaksTlsWithAClientCertificate) {
  const std::string certs = (directory_ / "certs").string();
  // NOLINTNEXTLINE(bugprone-command-processor): nobody else's words
  ASSERT_EQ(std::system(fmt::format("certs/make-dev-certs.sh {}", certs).c_str()), 0);
  const std::string url = Serve({.listen_urls = {"https://127.0.0.1:0"},
                                 .cert_file = certs + "/serving.crt",
                                 .key_file = certs + "/serving.key",
                                 .client_ca_file = certs + "/ca.crt"});
  client::Options etcd{.endpoints = {url},
                       .ca_file = certs + "/ca.crt",
                       .cert_file = certs + "/admin.crt",
                       .key_file = certs + "/admin.key"};
  EXPECT_EQ(Try({.etcd = etcd}), "ok");
  etcd.ca_file = certs + "/admin.crt";
  EXPECT_THAT(Try({.etcd = etcd, .connect_timeout = std::chrono::milliseconds(500)}),
              HasSubstr("--etcd-servers: etcd " + url))
      << "a certificate that didn't sign the server's";
  etcd.ca_file = certs + "/absent";
  EXPECT_THAT(Try({.etcd = etcd}), HasSubstr("--etcd-cafile: "));
}

TEST_F(ConnectionTest, SaysWhoHoldsADirectory) {
  EXPECT_THAT(Try({.data_dir = (directory_ / "store").string()}),
              HasSubstr(std::to_string(getpid())));
}

TEST_F(ConnectionTest, NeedsAServerOrADirectory) {
  EXPECT_EQ(Try({}), "give --etcd-servers or --data-dir");
  EXPECT_THAT(Try({.etcd = {.endpoints = {"ftp://x"}}}),
              HasSubstr("--etcd-servers: \"ftp://x\" isn't"));
}

}  // namespace
}  // namespace strata::tool

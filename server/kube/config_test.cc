#include "server/kube/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace strata::kube {
namespace {

using testing::HasSubstr;

class Kubeconfig : public testing::Test {
 protected:
  Kubeconfig() {
    folder = std::filesystem::temp_directory_path() / ("strata-kube-" + std::to_string(getpid()));
    std::filesystem::create_directories(folder);
  }
  ~Kubeconfig() override { std::filesystem::remove_all(folder); }

  base::StatusOr<Config> Load(const std::string& text) {
    std::ofstream(folder / "config") << text;
    return LoadKubeconfig((folder / "config").string());
  }
  // One whose user and cluster are as given.
  base::StatusOr<Config> LoadWith(const std::string& cluster, const std::string& user) {
    return Load(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        "contexts: [{name: c, context: {cluster: k, user: u}}]\n"
        "clusters: [{name: k, cluster: " +
        cluster +
        "}]\n"
        "users: [{name: u, user: " +
        user + "}]\n");
  }

  std::filesystem::path folder;
};

TEST_F(Kubeconfig, NamesFilesRelativeToItself) {
  const auto config = LoadWith("{server: 'https://k:6443/', certificate-authority: ca.crt}",
                               "{client-certificate: u.crt, client-key: /etc/u.key}");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->server, "https://k:6443");
  EXPECT_EQ(config->ca_file, folder / "ca.crt");
  EXPECT_EQ(config->cert_file, folder / "u.crt");
  EXPECT_EQ(config->key_file, "/etc/u.key");
}

TEST_F(Kubeconfig, PrefersDataToFilesAndTokenFilesToTokens) {
  const auto config = LoadWith(
      "{server: 'https://k', certificate-authority: ca.crt, certificate-authority-data: Q0E=, "
      "tls-server-name: kubernetes}",
      "{token: t, tokenFile: token}");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->ca_pem, "CA");
  EXPECT_EQ(config->ca_file, "");
  EXPECT_EQ(config->token, "");
  EXPECT_EQ(config->token_file, folder / "token");
  EXPECT_EQ(config->tls_server_name, "kubernetes");
}

TEST_F(Kubeconfig, SaysWhatIsMissingOrNotSupported) {
  const std::string server = "{server: 'https://k'}";
  for (const auto& [result, expected] : std::vector<std::pair<base::StatusOr<Config>, std::string>>{
           {Load(""), "the file is empty"},
           {Load("a: ["), "line"},
           {Load("kind: Config"), "no current-context is set"},
           {Load("current-context: x"), "there is no context \"x\""},
           {LoadWith("{server: k}", "{token: t}"), "no server like https://HOST:6443"},
           {LoadWith(server, "{exec: {command: aws}}"),
            "user \"u\" has exec: a program that makes its credentials, which isn't supported"},
           {LoadWith(server, "{auth-provider: {name: gcp}}"), "auth-provider"},
           {LoadWith(server, "{client-certificate: c}"), "without its key"}}) {
    EXPECT_THAT(std::string(base::Message(result.status())), HasSubstr(expected));
  }
  EXPECT_THAT(std::string(base::Message(LoadKubeconfig("/nowhere/config").status())),
              HasSubstr("/nowhere/config: No such file"));
}

TEST_F(Kubeconfig, IsNotNeededInAPod) {
  unsetenv("KUBERNETES_SERVICE_HOST");
  EXPECT_EQ(InClusterConfig(folder).status().code(), base::StatusCode::kNotFound);
  setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
  setenv("KUBERNETES_SERVICE_PORT", "443", 1);
  EXPECT_THAT(std::string(base::Message(InClusterConfig(folder).status())), HasSubstr("ca.crt"));
  std::ofstream(folder / "ca.crt") << "x";
  std::ofstream(folder / "token") << "x";
  const auto config = InClusterConfig(folder);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->server, "https://[fd00::1]:443");
  EXPECT_EQ(config->token_file, folder / "token");
  unsetenv("KUBERNETES_SERVICE_HOST");
}

}  // namespace
}  // namespace strata::kube

#include "server/kube/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "test/support/temp_dir.h"

namespace strata::kube {
namespace {

using testing::HasSubstr;

constexpr char kPem[] = "-----BEGIN CERTIFICATE-----\n";

class Kubeconfig : public testing::Test {
 protected:
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

  const testing_support::TempDir dir;
  const std::filesystem::path folder = dir.path();
};

TEST_F(Kubeconfig, NamesFilesRelativeToItself) {
  for (const char* name : {"ca.crt", "u.crt", "u.key"}) std::ofstream(folder / name) << kPem;
  const auto config =
      LoadWith("{server: 'https://k:6443/', certificate-authority: ca.crt}",
               "{client-certificate: ./u.crt, client-key: '" + (folder / "u.key").string() + "'}");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->server, "https://k:6443");
  EXPECT_EQ(config->ca_file, folder / "ca.crt");
  EXPECT_EQ(config->cert_file, folder / "./u.crt");
  EXPECT_EQ(config->key_file, folder / "u.key");
}

TEST_F(Kubeconfig, PrefersTokenFilesToTokensIfTheyCanBeRead) {
  std::ofstream(folder / "token") << "f\n";
  const std::string server = "{server: 'https://k', tls-server-name: kubernetes}";
  const auto config = LoadWith(server, "{token: t, tokenFile: token}");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->token, "");
  EXPECT_EQ(config->token_file, folder / "token");
  EXPECT_EQ(config->tls_server_name, "kubernetes");
  EXPECT_EQ(LoadWith(server, "{token: t, tokenFile: absent}")->token, "t");
  std::ofstream(folder / "blank") << "\n";
  EXPECT_EQ(LoadWith(server, "{token: t, tokenFile: blank}")->token, "t");
}

TEST_F(Kubeconfig, ReadsTheServerAsAnUrl) {
  for (const auto& [server, expected] : std::vector<std::pair<std::string, std::string>>{
           {"HTTPS://k:6443/", "https://k:6443"},
           {"https://[::1]:6443", "https://[::1]:6443"},
           {"https://k/k8s/clusters/c-1/", "https://k/k8s/clusters/c-1"},
           {"https://kubernetes.default.svc", "https://kubernetes.default.svc"}}) {
    const auto config = LoadWith("{server: '" + server + "'}", "{token: t}");
    ASSERT_TRUE(config.ok()) << config.status();
    EXPECT_EQ(config->server, expected);
  }
}

// As `base64` prints it, and as YAML has for bytes.
TEST_F(Kubeconfig, TakesDataInLines) {
  for (const char* data :
       {"|\n      LS0tLS1CRUdJTiBY\n      LS0tLS0K\n",
        "!!binary |\n      LS0tLS1CRUdJTiBY\n      LS0tLS0K\n",
        "\"LS0tLS1CRUdJTiBY\\r\\nLS0tLS0K\"\n", ">\n      LS0tLS1CRUdJTiBYLS0tLS0K\n"}) {
    const auto config = Load(
        "current-context: c\ncontexts: [{name: c, context: {cluster: k}}]\nclusters:\n- name: k\n"
        "  cluster:\n    server: https://k\n    certificate-authority-data: " +
        std::string(data));
    ASSERT_TRUE(config.ok()) << config.status();
    EXPECT_EQ(config->ca_pem, "-----BEGIN X-----\n") << data;
  }
}

TEST_F(Kubeconfig, CredentialsAreNotSentInTheClear) {
  const auto config = LoadWith("{server: 'http://k'}", "{token: t}");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->server, "http://k");
  EXPECT_EQ(config->token, "");
}

TEST_F(Kubeconfig, SaysWhatIsMissingOrNotSupported) {
  std::ofstream(folder / "pem") << kPem;
  std::ofstream(folder / "der") << "0x";
  std::ofstream(folder / "token") << "t";
  std::ofstream(folder / "blank") << " \n";
  const std::string server = "{server: 'https://k'}";
  const std::string data = "LS0tLS1CRUdJTiBYLS0tLS0K";
  const std::string here = (folder / "").string();
  for (const auto& [result, expected] : std::vector<std::pair<base::StatusOr<Config>, std::string>>{
           {Load(""), "the file is empty"},
           {Load("a: ["), "did not find expected node content"},
           {Load("kind: Config"), "no current-context is set"},
           {Load("kind: Pod\napiVersion: v1"), "kind Config of v1 is expected, not Pod of v1"},
           {Load("- a"), "expected an object, got a list"},
           {Load("current-context: x"), "there is no context \"x\""},
           {Load("current-context: x\ncontexts: [{name: x}, {name: x}]"),
            "context \"x\" stands there twice"},
           {Load("current-context: x\ncontexts: [{name: x, context: {cluster: k}}]"),
            "there is no cluster \"k\""},
           {LoadWith("{server: k}", "{token: t}"),
            "cluster \"k\": server: it must be like https://HOST:6443"},
           {LoadWith("{server: 'ftp://k'}", "{}"), "server: it must be like https://HOST:6443"},
           {LoadWith("{server: 'https://k:99999'}", "{}"), "like https://HOST:6443 (Port number"},
           {LoadWith("{server: 'https://k '}", "{}"),
            "server: it must be like https://HOST:6443 ("},
           {LoadWith("{server: 'https://::1:6443'}", "{}"), "server: it must be like https://HOST"},
           {LoadWith("{server: 'https://k?a=b'}", "{}"), "like https://HOST:6443, without ? and #"},
           {LoadWith("{server: 'https://a:b@k'}", "{}"), "server: give username and password"},
           {LoadWith("{server: 'https://k', proxy-url: 'http://p'}", "{}"),
            "cluster \"k\": proxy-url isn't supported"},
           {LoadWith("{server: 'https://k', certificate-authority: absent}", "{}"),
            "cluster \"k\": certificate-authority: " + here + "absent: No such file"},
           {LoadWith("{server: 'https://k', certificate-authority: der}", "{}"),
            "cluster \"k\": certificate-authority: " + here + "der: that is no PEM"},
           {LoadWith("{server: 'https://k', certificate-authority-data: eHg=}", "{}"),
            "cluster \"k\": certificate-authority-data: that is the base64 of no PEM"},
           {LoadWith("{server: 'https://k', certificate-authority-data: '%%%'}", "{}"),
            "clusters[0].cluster.certificate-authority-data: expected base64"},
           {LoadWith(
                "{server: 'https://k', certificate-authority: pem, certificate-authority-data: " +
                    data + "}",
                "{}"),
            "certificate-authority and certificate-authority-data are both given"},
           {LoadWith("{server: 'https://k', insecure-skip-tls-verify: true, certificate-authority: "
                     "pem}",
                     "{}"),
            "config: cluster \"k\": specifying a root certificates file with the insecure flag is "
            "not allowed"},
           {LoadWith("{server: 'https://k', insecure-skip-tls-verify: true, "
                     "certificate-authority-data: " +
                         data + "}",
                     "{}"),
            "specifying a root certificates file with the insecure flag is not allowed"},
           {LoadWith(server, "{exec: {command: aws}}"),
            "user \"u\": exec (a program that makes its credentials) isn't supported"},
           {LoadWith(server, "{auth-provider: {name: gcp}}"), "user \"u\": auth-provider"},
           {LoadWith(server, "{token: t, as: admin}"), "user \"u\": as and as-"},
           {LoadWith(server, "{token: t, as-uid: '5'}"), "user \"u\": as and as-"},
           {LoadWith(server, "{token: t, as-groups: [a]}"), "user \"u\": as and as-"},
           {LoadWith(server, "{token: t, as-user-extra: {a: [b]}}"), "user \"u\": as and as-"},
           {LoadWith(server, "{client-certificate: pem}"),
            "user \"u\": client-key or client-key-data must go with its client certificate"},
           {LoadWith(server, "{client-certificate: absent, client-key: pem}"),
            "user \"u\": client-certificate: " + here + "absent: No such file"},
           {LoadWith(server, "{client-certificate: pem, client-key: absent}"),
            "user \"u\": client-key: " + here + "absent: No such file"},
           {LoadWith(server, "{client-certificate: pem, client-certificate-data: " + data +
                                 ", client-key: pem}"),
            "client-certificate and client-certificate-data are both given"},
           {LoadWith(server, "{tokenFile: absent}"),
            "user \"u\": tokenFile: " + here + "absent: No such file"},
           {LoadWith(server, "{tokenFile: blank}"),
            "user \"u\": tokenFile: " + here + "blank: it is empty"},
           {LoadWith(server, "{token: t, username: name, password: p}"),
            "user \"u\": username/password or bearer token may be set, but not both"},
           {LoadWith(server, "{tokenFile: token, username: name}"), "but not both"}}) {
    EXPECT_THAT(std::string(base::Message(result.status())), HasSubstr(expected));
  }
  EXPECT_THAT(std::string(base::Message(LoadKubeconfig("/nowhere/config").status())),
              HasSubstr("/nowhere/config: No such file"));
}

TEST_F(Kubeconfig, TakesWhatClientGoTakes) {
  std::ofstream(folder / "pem") << kPem;
  const std::string server = "{server: 'https://k'}";
  for (const auto& result :
       {LoadWith("{server: 'https://k', insecure-skip-tls-verify: true}", "{token: t}"),
        LoadWith(
            "{server: 'https://k', insecure-skip-tls-verify: false, certificate-authority: pem}",
            "{token: t}"),
        LoadWith(server, "{client-key: pem, token: t}"), LoadWith(server, "{username: name}"),
        LoadWith(server, "{client-certificate: pem, client-key: pem, token: t}"),
        LoadWith(server, "{exec: null, auth-provider: null, token: t}"),
        LoadWith(server, "null")}) {
    EXPECT_TRUE(result.ok()) << result.status();
  }
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

#include "server/start/flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "server/start/arguments.h"
#include "server/start/foreign_flags.h"
#include "storage/command_line/parse.h"

namespace strata::start {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

// What main() does with a command line, up to the first error; empty: none.
std::string Parse(std::vector<const char*> line, Flags& flags) {
  line.insert(line.begin(), {"program", "--data-dir=d"});
  auto arguments = ReadArguments(static_cast<int>(line.size()), line.data());
  if (!arguments.ok()) return std::string(base::Message(arguments.status()));
  if (const base::Status status = DropForeignFlags(*arguments); !status.ok())
    return std::string(base::Message(status));
  CLI::App app("", "program");
  AddFlags(app, flags);
  testing::internal::CaptureStderr();
  const auto ended = command_line::Parse(app, *std::move(arguments));
  std::string said = testing::internal::GetCapturedStderr();
  if (ended) return said;
  return std::string(base::Message(Complete(flags)));
}

std::string Error(const std::vector<const char*>& line) {
  Flags flags;
  return Parse(line, flags);
}

TEST(Flags, SwitchesAreGivenAsWithPflag) {
  Flags flags;
  ASSERT_EQ(Parse({"--authentication-skip-lookup", "--anonymous-auth=false",
                   "--permit-port-sharing=true", "--disable-http2-serving"},
                  flags),
            "");
  EXPECT_TRUE(flags.authentication_skip_lookup);
  EXPECT_FALSE(flags.anonymous_auth);
  EXPECT_TRUE(flags.server.reuse_port);
  EXPECT_FALSE(flags.tls.http2);
  Flags others;
  ASSERT_EQ(Parse({"--anonymous-auth", "--authentication-tolerate-lookup-failure=true"}, others),
            "");
  EXPECT_TRUE(others.anonymous_auth);
  EXPECT_TRUE(others.authentication_tolerate_lookup_failure);
  EXPECT_THAT(Error({"--anonymous-auth", "false"}), HasSubstr("not expected: false"));
  EXPECT_NE(Error({"--anonymous-auth=perhaps"}), "");
}

TEST(Flags, DurationsAreGos) {
  Flags flags;
  ASSERT_EQ(Parse({"--request-timeout=1m30s", "--shutdown-delay-duration=0",
                   "--authorization-webhook-cache-authorized-ttl=0s", "--idle-timeout=1.5h"},
                  flags),
            "");
  EXPECT_EQ(flags.chain.request_timeout, seconds(90));
  EXPECT_EQ(flags.shutdown_delay, milliseconds(0));
  EXPECT_EQ(flags.subject_access_review.allowed_ttl, seconds(0));
  EXPECT_EQ(flags.session.idle_timeout, seconds(5400));
  EXPECT_THAT(Error({"--request-timeout=1d"}),
              HasSubstr("--request-timeout: time: unknown unit \"d\" in duration \"1d\""));
  EXPECT_THAT(Error({"--request-timeout=soon"}), HasSubstr("invalid duration \"soon\""));
  EXPECT_THAT(Error({"--request-timeout=-1s"}), HasSubstr("-1s is negative"));
  EXPECT_THAT(Error({"--request-timeout=0"}), HasSubstr("longer than nothing"));
}

TEST(Flags, OfOneThatIsGivenTwiceTheLastCountsAndListsGrow) {
  Flags flags;
  ASSERT_EQ(Parse({"--secure-port=1", "--secure-port=2", "--request-timeout=1s",
                   "--request-timeout=2s", "--anonymous-auth=true", "--anonymous-auth=false",
                   "--authorization-mode=Webhook", "--authorization-mode=RBAC", "-v=1", "--v=3"},
                  flags),
            "");
  EXPECT_EQ(flags.secure_port, 2);
  EXPECT_EQ(flags.chain.request_timeout, seconds(2));
  EXPECT_FALSE(flags.anonymous_auth);
  EXPECT_THAT(flags.authorization_modes, ElementsAre("Webhook", "RBAC"));
  EXPECT_EQ(flags.verbosity, 3);
}

TEST(Flags, AListTakesNothingFromBehindIt) {
  for (const char* flag : {"--service-account-key-file=a", "--tls-cipher-suites=a",
                           "--tls-sni-cert-key=a,b", "--rbac-file=a", "--api-audiences=a"}) {
    EXPECT_THAT(Error({flag, "b"}), HasSubstr("not expected: b")) << flag;
  }
}

TEST(Flags, CertificatesForNames) {
  Flags flags;
  ASSERT_EQ(Parse({"--tls-sni-cert-key=a.crt,a.key",
                   "--tls-sni-cert-key=b.crt, b.key: *.b.example, b.example"},
                  flags),
            "");
  ASSERT_EQ(flags.tls.named_pairs.size(), 2u);
  EXPECT_EQ(flags.tls.named_pairs[0].key_file, "a.key");
  EXPECT_THAT(flags.tls.named_pairs[0].names, testing::IsEmpty());
  EXPECT_EQ(flags.tls.named_pairs[1].cert_file, "b.crt");
  EXPECT_EQ(flags.tls.named_pairs[1].key_file, "b.key");
  EXPECT_THAT(flags.tls.named_pairs[1].names, ElementsAre("*.b.example", "b.example"));
  for (const char* wrong : {"--tls-sni-cert-key=a.crt", "--tls-sni-cert-key=a.crt,a.key,c",
                            "--tls-sni-cert-key=,a.key", "--tls-sni-cert-key=a.crt,a.key:",
                            "--tls-sni-cert-key=a.crt,a.key:x,", "--tls-sni-cert-key=a:b,c"}) {
    EXPECT_THAT(Error({wrong}), HasSubstr("--tls-sni-cert-key: ")) << wrong;
  }
}

TEST(Flags, ContradictionsSayWhatToDo) {
  const struct {
    std::vector<const char*> line;
    const char* error;
  } kCases[] = {
      {{"--etcd-servers=http://e:2379"}, "--etcd-servers and --data-dir exclude each other"},
      {{"--cache-dir=a"}, "--cache-dir has no effect with --data-dir"},
      {{"--serve=some"}, "--serve"},
      {{"--watch-history-age=0s"}, "--watch-history-age"},
      {{"--watch-history-bytes=1000"}, "--watch-history-bytes"},
      {{"--tls-cert-file=a"}, "--tls-cert-file and --tls-private-key-file go together"},
      {{"--etcd-certfile=a"}, "--etcd-certfile and --etcd-keyfile go together"},
      {{"--etcd-username=a"}, "--etcd-username and --etcd-password-file go together"},
      {{"--audit-log-path=-"}, "--audit-policy-file and --audit-log-path go together"},
      {{"--service-account-issuer=a"}, "goes together with --service-account-key-file"},
      {{"--authorization-mode=Webhook", "--rbac-file=a"}, "no effect without"},
      {{"--rbac-source=cluster"}, "no effect without --authorization-mode=RBAC"},
      {{"--authorization-mode=RBAC,Webhook,RBAC"}, "names RBAC twice"},
      {{"--authorization-mode=Node"}, "--authorization-mode"},
      {{"--requestheader-allowed-names=a"}, "--requestheader-client-ca-file"},
      {{"--goaway-chance=0.5"}, "--goaway-chance"},
      {{"--secure-port=70000"}, "--secure-port"},
      {{"--secrets-kubeconfig=a"}, "no effect without --enable-secrets"},
      {{"--enable-secrets", "--serve=layers"}, "no effect with --serve=layers"},
      {{"--enable-secrets", "--secrets-threads=0"}, "--secrets-threads"},
      {{"--no-such-flag"}, "--no-such-flag"},
      {{"argument"}, "argument"},
  };
  for (const auto& c : kCases) EXPECT_THAT(Error(c.line), HasSubstr(c.error)) << c.line[0];
}

// Who brings a command line from another API server is told what became of each flag.
TEST(ForeignFlags, WhatIsSoAnywayIsTakenAndTheRestIsExplained) {
  EXPECT_EQ(
      Error({"--profiling=false", "--contention_profiling=false", "--storage-backend=etcd3",
             "--storage-backend", "etcd3", "--enable-priority-and-fairness=false",
             "--audit-log-format=json", "--audit-log-mode=batch", "--watch-cache",
             "--permit-address-sharing", "--etcd-compaction-interval=0", "--logging-format=json"}),
      "");
  EXPECT_THAT(Error({"--profiling"}), HasSubstr("--profiling can't be set here: there are no"));
  EXPECT_THAT(Error({"--profiling=true"}), HasSubstr("--profiling can't be set here"));
  EXPECT_THAT(Error({"--storage-backend=etcd2"}), HasSubstr("etcd's v3 API"));
  EXPECT_THAT(Error({"--encryption-provider-config=f"}), HasSubstr("in the clear"));
  EXPECT_THAT(Error({"--oidc-issuer-url", "https://x"}), HasSubstr("give its --kubeconfig"));
  EXPECT_THAT(Error({"--audit-webhook-config-file=f"}), HasSubstr("--audit-log-path"));
  EXPECT_THAT(Error({"--feature-gates=A=true"}), HasSubstr("there are none"));
  EXPECT_THAT(Error({"--storage-backend"}), HasSubstr("--storage-backend"));
}

TEST(ForeignFlags, AreNoneOfOurs) {
  CLI::App app;
  Flags flags;
  AddFlags(app, flags);
  size_t seen = 0;
  for (const CLI::App* group : app.get_subcommands([](const CLI::App*) { return true; })) {
    for (const CLI::Option* option : group->get_options()) {
      for (const std::string& name : option->get_lnames()) {
        ++seen;
        std::vector<std::string> arguments = {"--" + name + "=x"};
        EXPECT_TRUE(DropForeignFlags(arguments).ok()) << name;
        EXPECT_EQ(arguments.size(), 1u) << name;
      }
    }
  }
  EXPECT_GT(seen, 70u);
}

}  // namespace
}  // namespace strata::start

#include "storage/serve/foreign_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace strata::serve {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string Refusal(std::vector<std::string> arguments) {
  return std::string(base::Message(DropForeignFlags(arguments)));
}

// As kubeadm writes it for etcd 3.5 and 3.6.
TEST(EtcdsFlags, OfAStaticPodLeaveWhatIsServedHere) {
  std::vector<std::string> arguments = {"serve",
                                        "--advertise-client-urls=https://10.0.0.1:2379",
                                        "--client-cert-auth=true",
                                        "--data-dir=/var/lib/etcd",
                                        "--experimental-initial-corrupt-check=true",
                                        "--experimental-watch-progress-notify-interval=5s",
                                        "--feature-gates=InitialCorruptCheck=true",
                                        "--initial-advertise-peer-urls=https://10.0.0.1:2380",
                                        "--initial-cluster=one=https://10.0.0.1:2380",
                                        "--listen-peer-urls=https://10.0.0.1:2380",
                                        "--name=one",
                                        "--peer-cert-file=/etc/pki/peer.crt",
                                        "--peer-client-cert-auth=true",
                                        "--snapshot-count",
                                        "10000",
                                        "--trusted-ca-file=/etc/pki/ca.crt"};
  ASSERT_TRUE(DropForeignFlags(arguments).ok());
  EXPECT_THAT(arguments, ElementsAre("serve", "--advertise-client-urls=https://10.0.0.1:2379",
                                     "--client-cert-auth=true", "--data-dir=/var/lib/etcd",
                                     "--experimental-watch-progress-notify-interval=5s",
                                     "--name=one", "--trusted-ca-file=/etc/pki/ca.crt"));
}

TEST(EtcdsFlags, ThatAskForWhatIsNotSoSayWhatToDo) {
  const struct {
    std::string argument, says;
  } kCases[] = {
      {"--initial-cluster=a=http://a:2380,b=http://b:2380", "a cluster of one"},
      {"--auto-tls", "give --cert-file and --key-file"},
      {"--wal-dir=/x", "put --data-dir on the disk"},
      {"--unsafe-no-fsync", "when it is on the disk"},
      {"--enable-grpc-gateway=true", "use gRPC's clients"},
      {"--log-level=debug", "-v=2 shows more"},
      {"--config-file=x", "as flags"},
      {"--experimental-compaction-batch-limit=1000", "leave it out"},
      {"--tls-min-version=TLS1.0", "TLS 1.2 and 1.3"},
      {"--discovery-srv=example.org", "a cluster of one"},
  };
  for (const auto& one : kCases) {
    EXPECT_THAT(Refusal({one.argument}),
                testing::AllOf(HasSubstr("can't be set here: "), HasSubstr(one.says)))
        << one.argument;
  }
  EXPECT_EQ(Refusal({"--initial-cluster=a=http://a:2380,a=http://a2:2380"}), "");
}

}  // namespace
}  // namespace strata::serve

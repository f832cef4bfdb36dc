#include "lib/transport/net/self_signed.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "test/support/temp_dir.h"

namespace strata::net {
namespace {

using std::chrono::hours;

class SelfSigned : public testing::Test {
 protected:
  // The certificate that is there after a start at that time.
  std::string StartAt(base::WallTime now) {
    const base::Status made = EnsureSelfSignedPair(folder_, now);
    EXPECT_TRUE(made.ok()) << made;
    return Read("/apiserver.crt");
  }
  std::string Read(const std::string& name) const {
    std::ifstream file(folder_ + name);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  const testing_support::TempDir dir_;
  const std::string folder_ = dir_.path();
  const base::WallTime now_ = std::chrono::system_clock::now();
};

TEST_F(SelfSigned, APairIsMadeAnewThirtyDaysBeforeItEnds) {
  const std::string first = StartAt(now_), key = Read("/apiserver.key");
  EXPECT_EQ(StartAt(now_ + hours(24 * 334)), first);
  EXPECT_EQ(Read("/apiserver.key"), key);
  const std::string second = StartAt(now_ + hours(24 * 336));
  EXPECT_NE(second, first);
  EXPECT_NE(Read("/apiserver.key"), key);
  EXPECT_EQ(StartAt(now_ + hours(24 * 600)), second);
  EXPECT_NE(StartAt(now_ + hours(24 * 9000)), second) << "it has ended";
}

TEST_F(SelfSigned, APairThatCannotBeReplacedServesOn) {
  const std::string first = StartAt(now_), key = Read("/apiserver.key");
  std::filesystem::create_directories(folder_ + "/apiserver.crt.new/not empty");
  EXPECT_EQ(StartAt(now_ + hours(24 * 340)), first);
  EXPECT_EQ(Read("/apiserver.key"), key);
  std::filesystem::remove(folder_ + "/apiserver.crt");
  EXPECT_FALSE(EnsureSelfSignedPair(folder_, now_).ok()) << "there is none";
}

TEST_F(SelfSigned, APairOfSomebodyElseIsKept) {
  const auto others = MakeSelfSigned({"strata.example.com"}, hours(24), now_);
  ASSERT_TRUE(others.ok());
  for (const std::string& certificate : {others->certificate, std::string("no certificate")}) {
    std::ofstream(folder_ + "/apiserver.crt") << certificate;
    std::ofstream(folder_ + "/apiserver.key") << others->key;
    EXPECT_EQ(StartAt(now_ + hours(24 * 400)), certificate);
  }
}

}  // namespace
}  // namespace strata::net

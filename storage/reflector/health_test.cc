#include "storage/reflector/health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace strata::reflector {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Part = Health::Part;

class BackendHealth : public testing::Test {
 protected:
  // What was logged since the last call.
  std::vector<std::string> Lines() { return std::exchange(lines, {}); }

  std::vector<std::string> lines;
  const base::SystemClock clock;
  const obs::Logger log{obs::LogFormat::kText, 0, clock,
                        [this](std::string_view line) { lines.emplace_back(line); }};
  Health health{log};
};

TEST_F(BackendHealth, IsWellWhenTheWatchAndReadsAre) {
  EXPECT_FALSE(health.status().ok()) << "not connected yet";
  health.Set(Part::kWatch, base::OkStatus());
  EXPECT_TRUE(health.status().ok());
  health.Set(Part::kReads, base::UnavailableError("refused"));
  EXPECT_EQ(health.status(), base::UnavailableError("refused"));
  health.Set(Part::kReads, base::OkStatus());
  EXPECT_TRUE(health.status().ok());
  health.Set(Part::kWatch, base::UnavailableError("broken"));
  EXPECT_EQ(health.status(), base::UnavailableError("broken"));
}

TEST_F(BackendHealth, SaysOnceWhatFailsAndOnceThatItIsBack) {
  health.Set(Part::kWatch, base::OkStatus());
  EXPECT_TRUE(Lines().empty()) << "nothing was wrong";
  for (int i = 0; i < 3; ++i) {
    health.Set(Part::kReads, base::UnavailableError("refused"));
    health.Set(Part::kWatch, base::UnavailableError("refused"));
  }
  EXPECT_THAT(Lines(), ElementsAre(testing::AllOf(testing::StartsWith("W"), HasSubstr("refused"))));
  for (int i = 0; i < 3; ++i) health.Set(Part::kReads, base::OkStatus());
  EXPECT_TRUE(Lines().empty()) << "the watch isn't there yet";
  for (int i = 0; i < 3; ++i) health.Set(Part::kWatch, base::OkStatus());
  EXPECT_THAT(Lines(), ElementsAre(testing::StartsWith("I")));
}

TEST_F(BackendHealth, SaysEachReasonOfAnOutageOnce) {
  for (int i = 0; i < 3; ++i) {
    health.Set(Part::kReads, base::UnavailableError("etcd a: refused"));
    health.Set(Part::kReads, base::UnavailableError("etcd b: expired"));
  }
  EXPECT_THAT(Lines(), ElementsAre(HasSubstr("refused"), HasSubstr("expired")));
  for (int i = 0; i < 100; ++i)
    health.Set(Part::kReads, base::UnavailableError("port " + std::to_string(i)));
  EXPECT_LE(Lines().size(), 8u) << "whatever the reasons are";
}

}  // namespace
}  // namespace strata::reflector

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/kube_source/source_fixture_test.h"

namespace strata::kube_source {
namespace {

class Seeking : public KubeSourceTest {
 protected:
  // Seeks image j and answers with it as it is at `revision`.
  StatusCode SeekAt(const std::string& revision) {
    StatusCode code = StatusCode::kUnknown;
    source.Seek({{Kind::kImage, "", "j"}}, "a",
                [&](const base::StatusOr<bool>& found) { code = found.status().code(); });
    kube->RunTask();
    Take("images/j")
        .done(Response{200, testing_support::Envelope(Bytes({"", "j", revision}), "Image")});
    return code;
  }
};

TEST_F(Seeking, WhatIsReadByNameIsThereAtOnceAndNotTakenBack) {
  auto watches = Begin();
  kube->tasks.clear();
  EXPECT_EQ(SeekAt("20"), StatusCode::kOk);
  EXPECT_EQ(holder.have, (Have{{"i", 1}, {"j", 20}, {"s", 2}}));
  watches.images.data(Event("ADDED", {"", "j", "15"}) + Event("DELETED", {"", "j", "16"}) +
                      Event("ADDED", {"", "k", "17"}) + Event("ADDED", {"", "j", "20"}));
  EXPECT_EQ(holder.have, (Have{{"i", 1}, {"j", 20}, {"k", 17}, {"s", 2}}))
      << "what the watch brings of it is older";
  watches.images.data(Event("DELETED", {"", "j", "21"}));
  EXPECT_EQ(holder.have, (Have{{"i", 1}, {"k", 17}, {"s", 2}}));
}

TEST_F(Seeking, WhatTheWatchHasPassedIsNotBroughtBack) {
  auto watches = Begin();
  kube->tasks.clear();
  watches.images.data(Event("ADDED", {"", "j", "15"}) + Event("DELETED", {"", "j", "16"}));
  EXPECT_EQ(SeekAt("15"), StatusCode::kOk);
  EXPECT_EQ(holder.have, (Have{{"i", 1}, {"s", 2}}));
}

TEST_F(Seeking, WhatIsOfARevisionThatTheWatchIsWithinIsTaken) {
  auto watches = Begin();
  kube->tasks.clear();
  watches.images.data(Event("ADDED", {"", "k", "15"}));
  EXPECT_EQ(SeekAt("15"), StatusCode::kOk);
  EXPECT_EQ(holder.have, (Have{{"i", 1}, {"j", 15}, {"k", 15}, {"s", 2}}));
  watches.images.data(Event("DELETED", {"", "i", "15"}) + Event("ADDED", {"", "j", "15"}));
  EXPECT_EQ(holder.have, (Have{{"j", 15}, {"k", 15}, {"s", 2}}));
  EXPECT_EQ(holder.revision, 17) << "it was told once";
}

TEST_F(Seeking, NothingIsTakenWhileAWatchHasBeenAwayForLong) {
  auto watches = Begin();
  kube->tasks.clear();
  clock.Advance(26'000);
  EXPECT_EQ(SeekAt("20"), StatusCode::kUnavailable);
  EXPECT_EQ(holder.revision, 12);
}

TEST_F(Seeking, NothingIsTakenWhileAllIsListedAnew) {
  auto watches = Begin();
  kube->tasks.clear();
  watches.images.done(Response{410, ""});
  kube->tasks.clear();
  EXPECT_EQ(SeekAt("20"), StatusCode::kUnavailable);
}

}  // namespace
}  // namespace strata::kube_source

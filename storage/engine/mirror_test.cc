#include "storage/engine/mirror.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "test/support/temp_dir.h"

namespace strata::engine {
namespace {

class MirrorTest : public testing::Test {
 protected:
  void SetUp() override {
    auto made = Mirror::Create(path_);
    ASSERT_TRUE(made.ok()) << made.status();
    mirror_ = *std::move(made);
  }

  // "key=value@revision key=value@revision", or why not.
  std::string ReadAll(Revision revision) {
    std::string text;
    const auto seen = mirror_->Look(revision, [&](const View& view) {
      STRATA_RETURN_IF_ERROR(view.CheckRevision(revision));
      return view.Walk("", std::string_view("\0", 1), revision,
                       [&](const Version& version) -> base::StatusOr<bool> {
                         STRATA_ASSIGN_OR_RETURN(const KeyValue kv, view.Load(version, true));
                         text += (text.empty() ? "" : " ") + kv.key + "=" + kv.value + "@" +
                                 std::to_string(kv.mod_revision);
                         return true;
                       });
    });
    return seen.ok() ? text : std::string(base::Message(seen));
  }
  // "revision+key revision-key"
  std::string History(Revision from) {
    std::string text;
    const auto seen = mirror_->Look(from, [&](const View& view) {
      return view.History(from, [&](const ChangeRef& change, bool) -> base::StatusOr<bool> {
        text += (text.empty() ? "" : " ") + std::to_string(change.at.revision) +
                (change.record.kind == Kind::kPut ? "+" : "-") + std::string(change.record.key);
        return true;
      });
    });
    EXPECT_TRUE(seen.ok()) << seen;
    return text;
  }

  testing_support::TempDir dir_;
  const std::string path_ = dir_.path() + "/mirror.mdb";
  std::unique_ptr<Mirror> mirror_;
};

using Versions = std::vector<Mirror::Version>;

TEST_F(MirrorTest, HoldsAListWhoseRecordsComeInAnyOrder) {
  ASSERT_TRUE(mirror_->AddListed(Versions{{"c", 7, "1"}, {"a", 9, "2"}}).ok());
  ASSERT_TRUE(mirror_->AddListed(Versions{{"d", 2, "4"}, {"b", 7, "3"}}).ok());
  ASSERT_TRUE(mirror_->BeginHistory(20).ok());
  EXPECT_EQ(ReadAll(20), "a=2@9 b=3@7 c=1@7 d=4@2");
  EXPECT_EQ(ReadAll(30), "a=2@9 b=3@7 c=1@7 d=4@2") << "the other store moved without changes";
  EXPECT_EQ(ReadAll(19), "etcdserver: mvcc: required revision has been compacted");
}

TEST_F(MirrorTest, KeepsWhatTheChangesReplaced) {
  ASSERT_TRUE(mirror_->AddListed(Versions{{"a", 5, "1"}, {"b", 9, "2"}}).ok());
  ASSERT_TRUE(mirror_->BeginHistory(10).ok());
  ASSERT_TRUE(mirror_->Append(Versions{{"b", 12, {}}, {"a", 12, "3"}, {"c", 13, "4"}}).ok());
  ASSERT_TRUE(mirror_->Append(Versions{{"b", 14, "5"}}).ok());
  EXPECT_EQ(ReadAll(10), "a=1@5 b=2@9");
  EXPECT_EQ(ReadAll(12), "a=3@12");
  EXPECT_EQ(ReadAll(14), "a=3@12 b=5@14 c=4@13");
  EXPECT_EQ(History(11), "12-b 12+a 13+c 14+b");
  EXPECT_EQ(mirror_->live(), 3);
}

TEST_F(MirrorTest, ForgetsInSmallSteps) {
  ASSERT_TRUE(mirror_->AddListed(Versions{{"a", 5, "0"}, {"b", 9, "0"}}).ok());
  ASSERT_TRUE(mirror_->BeginHistory(10).ok());
  for (Revision at = 11; at <= 20; ++at) {
    const std::string value = std::to_string(at);
    ASSERT_TRUE(mirror_->Append(Versions{{at % 2 == 0 ? "a" : "b", at, value}}).ok());
  }
  auto done = mirror_->Forget(18, 3);
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_FALSE(*done);
  EXPECT_EQ(ReadAll(17), "etcdserver: mvcc: required revision has been compacted");
  EXPECT_EQ(ReadAll(18), "a=18@18 b=17@17");
  for (int step = 0; done.ok() && !*done && step < 10; ++step) done = mirror_->Forget(0, 3);
  ASSERT_TRUE(done.ok() && *done);
  EXPECT_EQ(History(0), "17+b 18+a 19+b 20+a");
  EXPECT_EQ(ReadAll(20), "a=20@20 b=19@19");
}

TEST_F(MirrorTest, LeavesNothingBehind) {
  EXPECT_TRUE(std::filesystem::exists(path_));
  mirror_->Hide();
  EXPECT_TRUE(std::filesystem::is_empty(dir_.path()));
  ASSERT_TRUE(mirror_->AddListed(Versions{{"a", 5, "1"}}).ok());
  EXPECT_EQ(ReadAll(5), "a=1@5");
  SetUp();
  EXPECT_TRUE(std::filesystem::exists(path_)) << "of the new one";
  EXPECT_EQ(ReadAll(5), "") << "it begins empty";
  mirror_.reset();
  EXPECT_TRUE(std::filesystem::is_empty(dir_.path()));
}

}  // namespace
}  // namespace strata::engine

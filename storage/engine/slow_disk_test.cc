// That what has been committed is known at once, however long the disk takes to sync the file.
#include <absl/synchronization/notification.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>

#include "storage/engine/store_fixture_test.h"
#include "test/support/held_sync.h"

namespace strata::engine {
namespace {

using testing_support::sync_holder;

class Heard final : public CommitListener {
 public:
  void OnCommit(Revision revision) override { revision_ = revision; }
  Revision revision() const { return revision_; }

 private:
  std::atomic<Revision> revision_ = 0;
};

// A write of so many keys.
struct Written {
  Written(Store& store, int keys) : counted(store.NewAnswer()) {
    TxnRequest request;
    for (int i = 0; i < keys; ++i)
      request.success.push_back({PutRequest{.key = "k" + std::to_string(i), .value = "v"}});
    store.Submit(std::move(request), counted, [this](const base::StatusOr<TxnResult>& result) {
      EXPECT_TRUE(result.ok()) << result.status();
      answered.Notify();
    });
  }
  bool Within(absl::Duration time) { return answered.WaitForNotificationWithTimeout(time); }

  AnswerBytes counted;
  absl::Notification answered;
};

TEST(SlowDisk, ACommitIsAnsweredAndToldWhileTheFileIsSynced) {
  StoreFixture store({.map = {.changes_between_checkpoints = 1}});
  store.Reopen();  // nothing is synced any more
  Heard heard;
  store->AddListener(heard);

  sync_holder.Hold(".mdb");
  Written begins(*store, 1);
  EXPECT_TRUE(begins.Within(absl::Seconds(20)));
  Written much(*store, 8);
  EXPECT_TRUE(much.Within(absl::Seconds(20)));
  EXPECT_EQ(store->Range({.key = "k7"})->revision, 3);
  EXPECT_EQ(store->revision(), 3);
  EXPECT_EQ(heard.revision(), 3);

  Written waits(*store, 1);
  EXPECT_FALSE(waits.Within(absl::Milliseconds(200))) << "the file would grow without end";
  EXPECT_EQ(store->Range({.key = "k0"})->revision, 3) << "nobody reads what nobody is told of";
  sync_holder.Hold("");
  EXPECT_TRUE(waits.Within(absl::Seconds(20)));
  EXPECT_EQ(heard.revision(), 4);
  store->RemoveListener(heard);
}

}  // namespace
}  // namespace strata::engine

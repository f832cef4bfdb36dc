// A replica kept by the reflector from a real server, while others write and read.
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "storage/engine/store_fixture_test.h"
#include "storage/reflector/reflector.h"
#include "storage/replica/history_fixture_test.h"
#include "storage/rpc/server.h"
#include "test/support/random.h"

namespace strata::replica {
namespace {

using std::chrono::milliseconds;

class FollowingTest : public testing::Test {
 protected:
  FollowingTest() {
    Listen();
    client_ = *client::Client::Create({.endpoints = {url_}}, obs::NullLogger(), metrics_);
    replica_ = *Replica::Create(client_.get(), kKeys, Replica::Options{}, clock_, obs::NullLogger(),
                                metrics_);
    reflector_ = std::make_unique<reflector::Reflector>(
        *client_, kKeys, *replica_,
        reflector::Reflector::Options{
            .list = {.page_size = 7},
            .backoff = {.first = milliseconds(10), .most = milliseconds(50)}},
        clock_, obs::NullLogger(), metrics_);
    reflector_->Start();
  }
  ~FollowingTest() override {
    reflector_.reset();
    Close();
  }

  void Listen() {
    server_ = std::make_unique<rpc::Server>(*store_, rpc::Options{.listen_urls = {url_}},
                                            obs::NullLogger(), metrics_);
    const base::Status started = server_->Start();
    ASSERT_TRUE(started.ok()) << started;
    url_ = server_->urls()[0];
  }
  void Close() {
    server_->Shutdown(absl::ZeroDuration());
    server_.reset();
  }

  void Write(testing_support::Random& random) {
    const records::Id id = random.Chance(.5) ? Image("i" + std::to_string(random.Below(40)))
                                             : Stream("n" + std::to_string(random.Below(3)),
                                                      "s" + std::to_string(random.Below(10)));
    if (random.Chance(.2)) {
      store_.Delete(KeyOf(id));
    } else {
      store_.Put(KeyOf(id), records::Encode(id.kind, random.Hex(random.Below(9000))));
    }
    if (random.Chance(.1)) store_.Put("/elsewhere", "x");
  }

  // The revision that a request which comes now is answered at.
  Revision Fresh() {
    base::StatusOr<Revision> at = base::UnavailableError("not asked");
    const auto until = clock_.Now() + std::chrono::seconds(30);
    while (!at.ok() && clock_.Now() < until) {
      auto promise = std::make_shared<std::promise<base::StatusOr<Revision>>>();
      reflector_->barrier().WaitFresh(
          until, [promise](base::StatusOr<Revision> r) { promise->set_value(std::move(r)); });
      at = promise->get_future().get();
      if (!at.ok()) std::this_thread::sleep_for(milliseconds(5));
    }
    EXPECT_TRUE(at.ok()) << at.status();
    return at.ok() ? *at : 0;
  }

  engine::StoreFixture store_;
  base::SystemClock clock_;
  obs::Metrics metrics_;
  std::string url_ = "http://127.0.0.1:0";
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<client::Client> client_;
  std::unique_ptr<Replica> replica_;
  std::unique_ptr<reflector::Reflector> reflector_;
  const StoreHistory truth_{*store_, kKeys};
};

TEST_F(FollowingTest, ReadsAreWholeAtTheirRevisionWhileOthersWrite) {
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    testing_support::Random random(1);
    while (!stop) Write(random);
  });
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      for (int read = 0; read < 60; ++read) {
        const Revision at = Fresh();
        ASSERT_EQ(ReadText(*replica_, {.revision = at}), ReadText(truth_, {.revision = at}));
      }
    });
  }
  for (std::thread& reader : readers) reader.join();
  stop = true;
  writer.join();
  const Revision last = Fresh();
  EXPECT_EQ(ChangesText(*replica_, replica_->oldest() + 1, last),
            ChangesText(truth_, replica_->oldest() + 1, last));
}

TEST_F(FollowingTest, ReadsStayRightWhenAllIsListedAnew) {
  testing_support::Random random(2);
  std::atomic<bool> stop = false;
  // Whoever reads meanwhile, at what is told to be the newest, is told the truth or nothing.
  std::thread reader([&] {
    while (!stop) {
      const Revision at = reflector_->barrier().current();
      if (at == 0) continue;
      const std::string text = ReadText(*replica_, {.revision = at});
      const std::string truth = ReadText(truth_, {.revision = at});
      if (text != "OUT_OF_RANGE" && text != "UNAVAILABLE" && truth != "OUT_OF_RANGE") {
        ASSERT_EQ(text, truth);
      }
    }
  });
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 30; ++i) Write(random);
    const Revision before = Fresh();
    Close();
    for (int i = 0; i < 30; ++i) Write(random);
    if (round % 2 == 0) store_.Compact(store_->revision() - 3);
    Listen();
    const Revision at = Fresh();
    EXPECT_GT(at, before);
    EXPECT_EQ(ReadText(*replica_, {.revision = at}), ReadText(truth_, {.revision = at}));
    EXPECT_NE(ReadText(*replica_, {.revision = before}), "OUT_OF_RANGE") << "what was begun";
  }
  stop = true;
  reader.join();
}

TEST_F(FollowingTest, WatchesGoOnOverARestartOfABackendThatIsIdle) {
  testing_support::Random random(3);
  Fresh();
  for (int i = 0; i < 50; ++i) Write(random);
  const Revision before = Fresh();
  const Revision oldest = replica_->oldest();
  Close();
  Listen();
  Fresh();
  EXPECT_EQ(replica_->oldest(), oldest);
  EXPECT_EQ(ChangesText(*replica_, oldest + 1, before), ChangesText(truth_, oldest + 1, before));
  Write(random);
  const Revision last = Fresh();
  EXPECT_EQ(ChangesText(*replica_, before + 1, last), ChangesText(truth_, before + 1, last));
}

}  // namespace
}  // namespace strata::replica

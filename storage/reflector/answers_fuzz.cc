// Whatever an etcd answers to each call and on a watch: the call ends with an answer or a reason, a
// list ends with no more records than it says, and a watch that is cancelled ends.
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "storage/client/watch.h"
#include "storage/reflector/lister.h"
#include "test/fuzz/hostile_etcd.h"
#include "test/fuzz/input.h"

namespace {

using namespace strata;

class Nobody final : public reflector::Consumer {
 public:
  void BeginList() override {}
  void ListPage(const std::vector<records::Change>& page) override { records += page.size(); }
  void EndList(base::Revision) override {}
  void AbortList() override {}
  void Apply(const std::vector<reflector::Batch>&, base::Revision) override {}

  size_t records = 0;
};

struct World {
  const base::SystemClock clock;
  obs::Metrics metrics;
  const reflector::ListMetrics list_metrics{metrics};
  fuzz::HostileEtcd etcd;
  const std::unique_ptr<client::Client> client =
      client::Client::OverChannel(etcd.Channel(), metrics);
  const records::Keys keys{"openshift.io"};

  base::MonotonicTime Deadline() const { return clock.Now() + std::chrono::minutes(1); }
};

template <typename Message>
void WillSay(World& world, fuzz::Input& input, const Message& message) {
  std::deque<std::string> messages;
  while (!input.empty()) messages.push_back(message(input));
  world.etcd.WillSay(std::move(messages));
}

// What stands behind a message that doesn't parse is never read, and its writer would wait.
void WillSayOnWatch(World& world, fuzz::Input& input) {
  std::deque<std::string> messages;
  etcdserverpb::WatchResponse parsed;
  do {
    messages.push_back(fuzz::WatchMessageOf(input));
  } while (!input.empty() && parsed.ParseFromString(messages.back()));
  world.etcd.WillSay(std::move(messages));
}

void Commit(World& world) {
  const client::Txn txn{.compares = {{.key = "a"}},
                        .success = {client::Put{"a", "1"}, client::RangeOptions{.key = "a"}},
                        .failure = {client::DeleteOptions{.key = "a"}}};
  const auto done = world.client->Commit(txn, world.Deadline());
  if (!done.ok()) return;
  if (done->results.size() != (done->succeeded ? txn.success : txn.failure).size()) std::abort();
}

void List(World& world, bool divisible) {
  client::Cancellation cancellation;
  Nobody nobody;
  const client::RangeResult now{.revision = 9};
  const auto found = reflector::Lister(*world.client, world.keys, nobody,
                                       {.page_size = 2, .page_bytes = 200, .parallelism = 1}, now,
                                       divisible, cancellation, world.clock, world.list_metrics)
                         .List({world.keys.begin(), world.keys.end()});
  if (found.ok() && nobody.records > static_cast<size_t>(found->count)) std::abort();
}

void Watch(client::Watch& watch) {
  while (true) {
    const auto message = watch.Next();
    if (!message.ok()) break;
    if (!message->events.empty() && message->events.back().revision != message->revision)
      std::abort();
  }
  watch.RequestProgress();
  watch.Cancel();
  while (watch.Next().ok()) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static World world;
  fuzz::Input input(data, size);
  const uint8_t call = input.Byte() % 6;
  const auto raw = [](fuzz::Input& rest) { return std::string(rest.Text()); };
  switch (call) {
    case 0:
      WillSay(world, input, raw);
      (void)world.client->Range({.key = "a", .end = "b"}, world.Deadline());
      (void)world.client->Delete({.key = "a"}, world.Deadline());
      (void)world.client->Version(world.Deadline());
      break;
    case 1:
      WillSay(world, input, raw);
      Commit(world);
      break;
    case 2:
    case 3:
      WillSay(world, input, fuzz::PageOf);
      List(world, call == 2);
      break;
    case 4:
      WillSayOnWatch(world, input);
      Watch(*world.client->OpenWatch({"a", "b", 1}));
      break;
    default: {
      WillSayOnWatch(world, input);
      const auto watch = world.client->OpenStream("a");
      if (watch->AwaitOpen(world.Deadline()).ok()) watch->Ask({"a", "b", 1});
      Watch(*watch);
    }
  }
  return 0;
}

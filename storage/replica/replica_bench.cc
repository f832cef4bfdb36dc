// What a replica costs: taking in a list, a change, a page, and what changed. Not a test: run by
// hand.
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "lib/base/clock.h"
#include "lib/obs/log.h"
#include "lib/obs/metrics.h"
#include "storage/client/client.h"
#include "storage/records/keys.h"
#include "storage/replica/replica.h"
#include "test/support/records.h"

namespace strata::replica {
namespace {

constexpr size_t kPage = 500;
const records::Keys kKeys("openshift.io");

using Page = std::vector<records::Change>;

// Some 100,000 images as they are listed: pages in the order of their names, revisions in another.
std::vector<std::vector<records::Change>> MakePages() {
  testing_support::Shape shape = testing_support::DataSetB();
  const testing_support::RecordGenerator generator(shape);
  std::map<std::string, std::string> images;
  for (int64_t n = 0; n < shape.streams; ++n) {
    for (const auto& image : generator.Generate(n).images)
      images.emplace(image.metadata.name, ToProtobuf(image));
  }
  std::vector<std::vector<records::Change>> pages;
  uint64_t number = 0;
  for (auto& [name, object] : images) {
    if (pages.empty() || pages.back().size() == kPage) pages.emplace_back();
    const auto revision = static_cast<base::Revision>(number++ * 7919 % images.size() + 2);
    pages.back().push_back({.id = {records::Kind::kImage, "", name},
                            .state = records::Change::State::kPresent,
                            .revision = revision,
                            .object = std::move(object),
                            .reason = {}});
  }
  return pages;
}

const std::vector<std::vector<records::Change>>& Pages() {
  static const auto& pages = *new auto(MakePages());
  return pages;
}

class Bench {
 public:
  Bench() {
    client_ =
        *client::Client::Create({.endpoints = {"http://127.0.0.1:1"}}, obs::NullLogger(), metrics_);
    replica_ = *Replica::Create(client_.get(), kKeys, Replica::Options{}, clock_, obs::NullLogger(),
                                metrics_);
  }

  void List(int threads) {
    replica_->BeginList();
    std::atomic<size_t> next = 0;
    std::vector<std::thread> all;
    for (int i = 0; i < threads; ++i) {
      all.emplace_back([&] {
        for (size_t page = next++; page < Pages().size(); page = next++)
          replica_->ListPage(Pages()[page]);
      });
    }
    for (auto& one : all) one.join();
    replica_->EndList(revision_);
  }

  void Change(size_t number) {
    const Page& page = Pages()[number * 31 % Pages().size()];
    reflector::Batch batch{++revision_, {page[number % page.size()]}};
    batch.changes[0].revision = revision_;
    replica_->Apply({std::move(batch)}, revision_);
  }

  Replica& replica() { return *replica_; }
  base::Revision revision() const { return revision_; }
  double metric(const char* name) { return metrics_.AddGauge(name, "").value(); }

 private:
  base::SystemClock clock_;
  obs::Metrics metrics_;
  std::unique_ptr<client::Client> client_;
  std::unique_ptr<Replica> replica_;
  base::Revision revision_ = 10'000'000;
};

Bench& Listed() {
  static Bench& bench = *[] {
    auto* made = new Bench();
    made->List(2);
    return made;
  }();
  return bench;
}

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void TakeInAList(benchmark::State& state) {
  Pages();
  for (auto _ : state) {
    Bench bench;
    const double before = CpuSeconds();
    bench.List(static_cast<int>(state.range(0)));
    state.counters["cpu_s"] = CpuSeconds() - before;
    state.counters["records"] = bench.metric("strata_replica_records");
    state.counters["MB"] = bench.metric("strata_replica_file_bytes") / 1e6;
  }
}
BENCHMARK(TakeInAList)->Arg(1)->Arg(4)->Unit(benchmark::kMillisecond)->Iterations(1)->UseRealTime();

void ListThatIsTheSame(benchmark::State& state) {
  Bench bench;
  bench.List(2);
  for (auto _ : state) {
    bench.replica().BeginList();
    for (const Page& page : Pages()) bench.replica().ListPage(page);
    const double before = CpuSeconds();
    bench.replica().EndList(bench.revision());
    state.counters["end_cpu_s"] = CpuSeconds() - before;
  }
}
BENCHMARK(ListThatIsTheSame)->Unit(benchmark::kMillisecond)->Iterations(1);

void ReadAPage(benchmark::State& state) {
  Bench& bench = Listed();
  std::string from = kKeys.begin();
  for (auto _ : state) {
    auto page = bench.replica().Read({.begin = from,
                                      .end = kKeys.end(),
                                      .revision = bench.revision(),
                                      .limit = kPage,
                                      .count = state.range(0) != 0});
    from = page->next.empty() ? kKeys.begin() : page->next;
    benchmark::DoNotOptimize(page);
  }
}
BENCHMARK(ReadAPage)->Arg(0)->Arg(1)->Unit(benchmark::kMicrosecond);

void FindOne(benchmark::State& state) {
  Bench& bench = Listed();
  size_t number = 0;
  for (auto _ : state) {
    const Page& page = Pages()[++number * 31 % Pages().size()];
    auto found = bench.replica().Find(page[number % page.size()].id, bench.revision(), {});
    benchmark::DoNotOptimize(found);
  }
}
BENCHMARK(FindOne)->Unit(benchmark::kMicrosecond);

// The history comes to its bound meanwhile, so that as much is forgotten as comes.
void ApplyAChange(benchmark::State& state) {
  Bench& bench = Listed();
  size_t number = 0;
  for (auto _ : state) bench.Change(++number);
  state.counters["MB"] = bench.metric("strata_replica_file_bytes") / 1e6;
  state.counters["used_MB"] = bench.metric("strata_replica_used_bytes") / 1e6;
  state.counters["history_MB"] = bench.metric("strata_replica_history_bytes") / 1e6;
}
BENCHMARK(ApplyAChange)->Arg(0)->Unit(benchmark::kMicrosecond)->Iterations(200'000);

void ApplyProgress(benchmark::State& state) {
  Bench& bench = Listed();
  for (auto _ : state) bench.replica().Apply({}, bench.revision());
}
BENCHMARK(ApplyProgress);

void ReadAChange(benchmark::State& state) {
  Bench& bench = Listed();
  for (int i = 0; i < 1000; ++i) bench.Change(static_cast<size_t>(i));
  base::Revision next = bench.revision();
  int64_t changes = 0;
  for (auto _ : state) {
    if (next >= bench.revision()) next = bench.revision() - 999;
    next = *bench.replica().Changes({next, next}, [&](const Event& event) {
      benchmark::DoNotOptimize(event);
      ++changes;
    });
  }
}
BENCHMARK(ReadAChange)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace strata::replica

BENCHMARK_MAIN();

// What the hot path, a build and a record cost, in time and in memory. Not a test: run by hand or
// by `./dev bench`.
#include <benchmark/benchmark.h>
#include <malloc.h>
#include <unistd.h>

#include <cstdio>
#include <deque>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "server/layers/index.h"
#include "server/layers/record.h"
#include "test/support/records.h"

namespace strata::layers {
namespace {

namespace data = testing_support;

struct OwnedChange {
  Change::Kind kind;
  std::string ns, name, object;
};

Change View(const OwnedChange& change, base::Revision revision) {
  return {change.kind, Change::State::kPresent, change.ns, change.name,
          revision,    change.object,           {}};
}

OwnedChange Owned(const data::Image& image) {
  return {Change::Kind::kImage, "", image.metadata.name, ToProtobuf(image)};
}

OwnedChange Owned(const data::ImageStream& stream) {
  return {Change::Kind::kImageStream, stream.metadata.ns, stream.metadata.name, ToProtobuf(stream)};
}

void List(const data::RecordGenerator& generator, Index& index) {
  index.BeginList();
  base::Revision revision = 1;
  for (int64_t n = 0; n < generator.shape().streams; ++n) {
    const auto made = generator.Generate(n);
    for (const data::Image& image : made.images) {
      const OwnedChange change = Owned(image);
      const Change view = View(change, ++revision);
      index.AddToList({&view, 1});
    }
    const OwnedChange change = Owned(made.stream);
    const Change view = View(change, ++revision);
    index.AddToList({&view, 1});
  }
  index.EndList(1);
}

size_t ResidentBytes() {
  malloc_trim(0);
  std::ifstream file("/proc/self/statm");
  size_t total = 0, resident = 0;
  file >> total >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

// An index of one stream of `images` images of `layers` layers, and the stream's name.
struct OneStream {
  OneStream(int64_t images, int layers) : generator(ShapeOf(images, layers)) {
    List(generator, index);
    name = generator.NameOf(0);
  }
  static data::Shape ShapeOf(int64_t images, int layers) {
    data::Shape shape;
    shape.streams = 1;
    shape.images_per_stream = images;
    shape.min_layers = shape.max_layers = layers;
    shape.multi_arch = 0;
    return shape;
  }
  data::RecordGenerator generator;
  Index index{{}, {}};
  data::StreamName name;
};

// Built as a request has it built.
base::StatusOr<std::shared_ptr<const Encoded>> Build(Index& index, const std::string& ns,
                                                     const std::string& name, const Form& form) {
  const Lookup lookup = index.Find(ns, name, form);
  if (lookup.result == Lookup::Result::kSmall) return index.Build(lookup.gathered, form);
  Assembly assembly(ns, name, form);
  return index.Make(assembly, {});
}

void BM_CachedHit(benchmark::State& state) {
  static OneStream* const one = new OneStream(5, 10);
  if (state.thread_index() == 0) {
    (void)Build(one->index, one->name.ns, one->name.name, {});
  }
  for (auto _ : state) {
    const Lookup lookup = one->index.Find(one->name.ns, one->name.name, {});
    benchmark::DoNotOptimize(lookup.answer.get());
  }
}
BENCHMARK(BM_CachedHit)->Threads(1)->Threads(2)->UseRealTime();

// Gathered and encoded anew each time: the cache keeps nothing.
void Build(benchmark::State& state, const Form& form) {
  OneStream one(state.range(0), static_cast<int>(state.range(1)));
  Index index({.cache_bytes = 0}, {});
  List(one.generator, index);
  size_t bytes = 0;
  for (auto _ : state) {
    const auto built = Build(index, one.name.ns, one.name.name, form);
    bytes = (*built)->body.size();
    benchmark::DoNotOptimize(bytes);
  }
  state.counters["body"] = static_cast<double>(bytes);
}
BENCHMARK_CAPTURE(Build, json, Form{})
    ->Args({5, 10})
    ->Args({2000, 12})
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Build, protobuf, Form{{wire::MediaType::kProtobuf}})
    ->Args({5, 10})
    ->Args({2000, 12})
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Build, json_pretty, Form{{.pretty = true}})
    ->Args({2000, 12})
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Build, yaml, Form{{wire::MediaType::kYaml}})
    ->Args({2000, 12})
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Build, json_gzip, Form{{}, true})
    ->Args({2000, 12})
    ->Unit(benchmark::kMicrosecond);

// What an io thread does for a large stream that isn't in the cache.
void BM_Gather(benchmark::State& state) {
  OneStream one(2000, 12);
  for (auto _ : state) {
    const Lookup lookup = one.index.Find(one.name.ns, one.name.name, {});
    benchmark::DoNotOptimize(lookup.images);
  }
}
BENCHMARK(BM_Gather)->Unit(benchmark::kMicrosecond);

void BM_DecodeImage(benchmark::State& state) {
  const OneStream one(64, 10);
  std::vector<OwnedChange> images;
  for (const data::Image& image : one.generator.Generate(0).images) images.push_back(Owned(image));
  size_t next = 0, bytes = 0;
  for (auto _ : state) {
    const std::string& object = images[next++ % images.size()].object;
    const auto record = DecodeImage(object);
    benchmark::DoNotOptimize(record.ok());
    bytes += object.size();
  }
  state.SetBytesProcessed(static_cast<int64_t>(bytes));
}
BENCHMARK(BM_DecodeImage);

// Keeps the last steps, as a timeline does.
struct Steps final : Observer {
  void Listed(const Snapshot&) override {}
  void Changed(Step step) override {
    steps.push_back(std::move(step));
    if (steps.size() > 1000) steps.pop_front();
  }
  void Advanced(base::Revision) override {}
  std::deque<Step> steps;
};

// A write to one of 10,000 images that makes it another one: what the reflector's thread does for
// each event; for views too, with what was before kept.
void BM_ApplyImage(benchmark::State& state) {
  const data::RecordGenerator generator(OneStream::ShapeOf(10'000, 10));
  Steps steps;
  Index index({.for_views = state.range(0) != 0}, {});
  if (state.range(0) != 0) index.Observe(&steps);
  List(generator, index);
  std::vector<OwnedChange> images;
  for (data::Image& image : generator.Generate(0).images) {
    images.push_back(Owned(image));
    std::swap(image.layers.front(), image.layers.back());
    images.push_back(Owned(image));
  }
  size_t next = 1;
  base::Revision revision = 1'000'000;
  for (auto _ : state) {
    const Change change = View(images[next], ++revision);
    index.Apply({&change, 1});
    next = (next + 2 * 7919 + (next % 2 == 0 ? 1 : -1)) % images.size();
  }
}
BENCHMARK(BM_ApplyImage)->Arg(0)->Arg(1);

// Streams that share one image, all cached; the image changes: every answer goes.
void BM_DropSharedImage(benchmark::State& state) {
  const data::RecordGenerator generator(OneStream::ShapeOf(8, 10));
  auto made = generator.Generate(0);
  Index index({}, {});
  std::vector<OwnedChange> changes;
  for (const data::Image& image : made.images) changes.push_back(Owned(image));
  // As it is, and with fewer layers.
  OwnedChange shared[] = {changes.front(), {}};
  made.images.front().layers.pop_back();
  shared[1] = Owned(made.images.front());
  size_t next = 1;
  for (int64_t n = 0; n < state.range(0); ++n) {
    made.stream.metadata.name = "app-" + std::to_string(n);
    changes.push_back(Owned(made.stream));
  }
  index.BeginList();
  for (const OwnedChange& change : changes) {
    const Change view = View(change, 1);
    index.AddToList({&view, 1});
  }
  index.EndList(1);
  for (auto _ : state) {
    state.PauseTiming();
    for (const OwnedChange& change : changes) {
      if (change.kind != Change::Kind::kImageStream) continue;
      (void)Build(index, change.ns, change.name, {});
    }
    const Change change = View(shared[next], 2);
    next = 1 - next;
    state.ResumeTiming();
    index.Apply({&change, 1});
  }
}
BENCHMARK(BM_DropSharedImage)->Arg(1000)->Arg(10000)->Unit(benchmark::kMicrosecond)->Iterations(5);

// 100,000 images of 10 layers, 3 of them their own: resident bytes an image, streams and all, and
// the time to list them.
void BM_Memory(benchmark::State& state) {
  data::Shape shape;
  shape.streams = state.range(0);
  shape.images_per_stream = 100'000 / state.range(0);
  shape.min_layers = shape.max_layers = 10;
  shape.own_layers = 3;
  shape.multi_arch = 0;
  const data::RecordGenerator generator(shape);
  for (auto _ : state) {
    const size_t before = ResidentBytes();
    auto index =
        std::make_unique<Index>(Index::Options{.for_views = state.range(1) != 0}, Index::Report{});
    List(generator, *index);
    const size_t full = ResidentBytes();
    state.counters["bytes_per_image"] = static_cast<double>(full - before) / 100'000;
    state.counters["names"] = static_cast<double>(index->stats().names);
    state.counters["name_bytes_per_image"] =
        static_cast<double>(index->stats().name_bytes) / 100'000;

    // Listed again, as after a compaction: what was there stands beside it and then goes back.
    List(generator, *index);
    state.counters["after_relist"] = static_cast<double>(ResidentBytes() - before) / 100'000;
    index.reset();
    state.counters["left_bytes"] =
        static_cast<double>(ResidentBytes()) - static_cast<double>(before);
  }
}
BENCHMARK(BM_Memory)
    ->Args({20'000, 0})
    ->Args({10'000, 0})
    ->Args({10'000, 1})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace strata::layers

BENCHMARK_MAIN();

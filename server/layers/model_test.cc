// The index against a model that knows nothing of tables, caches and locks: after any history, and
// during it, an answer is what the algorithm of the reference gives for some revision in the
// request's window.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <random>
#include <thread>

#include "server/layers/records_fixture_test.h"
#include "server/wire/encode.h"

namespace strata::layers {
namespace {

// Records by small numbers: image n is a list of children, or has layers, or can't be read; streams
// name images.
struct Model {
  struct Image {
    std::vector<int> children;
    std::vector<int> layers;
    bool unreadable = false;
  };
  struct Stream {
    base::Revision revision;
    std::vector<int> images;
    bool unreadable = false;
  };
  std::map<int, Image> images;
  std::map<int, Stream> streams;

  static std::string Name(int n) { return "i" + std::to_string(n); }

  std::string Answer(int number, const Form& form) const {
    const auto found = streams.find(number);
    if (found == streams.end()) return "<not found>";
    const Stream& stream = found->second;
    if (stream.unreadable) return "<unreadable: broken>";
    image_v1::ImageStreamLayers layers;
    layers.mutable_metadata()->set_name("s");
    layers.mutable_metadata()->set_resource_version(std::to_string(stream.revision));
    for (const int image : stream.images) Visit(image, layers);
    return wire::Encode(layers, {"ImageStreamLayers", "image.openshift.io/v1"},
                        form.representation);
  }

  void Visit(int image, image_v1::ImageStreamLayers& out) const {
    if (out.images().contains(Name(image))) return;
    auto& reference = (*out.mutable_images())[Name(image)];
    const auto found = images.find(image);
    if (found == images.end() || found->second.unreadable) {
      reference.set_image_missing(true);
      return;
    }
    const auto add = [&](const std::string& name, std::string_view media, bool size) {
      if (out.blobs().contains(name)) return;
      auto& blob = (*out.mutable_blobs())[name];
      blob.set_media_type(std::string(media));
      if (size) blob.set_size(10);
    };
    if (found->second.children.empty()) {
      for (const int layer : found->second.layers) {
        reference.add_layers("l" + std::to_string(layer));
        add("l" + std::to_string(layer), "layer", true);
      }
      reference.set_config("sha256:config");
      add("sha256:config", kDockerConfig, false);
      add(Name(image), kDockerManifest, false);
      return;
    }
    for (const int child : found->second.children) reference.add_manifests(Name(child));
    add(Name(image), "application/vnd.oci.image.index.v1+json", false);
    for (const int child : found->second.children) Visit(child, out);
  }
};

std::vector<std::string> Names(const std::vector<int>& numbers, const char* prefix) {
  std::vector<std::string> names;
  for (const int n : numbers) names.push_back(prefix + std::to_string(n));
  return names;
}

// What the index is told of records as they are in the model.
void Tell(int number, const Model::Image& image, Changes& changes) {
  const std::string name = Model::Name(number);
  if (image.unreadable) {
    changes.Unreadable(Change::Kind::kImage, name, "broken");
  } else if (image.children.empty()) {
    changes.Image(name, ImageBytes(Names(image.layers, "l")));
  } else {
    changes.Image(name, ListBytes(Names(image.children, "i")));
  }
}

void Tell(int number, const Model::Stream& stream, Changes& changes) {
  const std::string name = std::to_string(number);
  changes.At(stream.revision);
  if (stream.unreadable) {
    changes.Unreadable(Change::Kind::kImageStream, name, "broken");
  } else {
    changes.Stream(name, StreamBytes("s", Names(stream.images, "i")));
  }
}

// One random change, to the model and as the index is told of it.
template <typename Pick>
void RandomChange(const Pick& pick, base::Revision revision, Model& model, Changes& changes) {
  changes.At(revision);
  const auto numbers = [&](int most) {
    std::vector<int> out(pick(most + 1));
    for (int& n : out) n = pick(8);
    return out;
  };
  if (pick(3) == 0) {
    const int stream = pick(3);
    if (pick(5) == 0) {
      model.streams.erase(stream);
      changes.Delete(Change::Kind::kImageStream, std::to_string(stream));
      return;
    }
    Model::Stream& changed = model.streams[stream];
    changed = {revision, {}, pick(8) == 0};
    for (const int n : numbers(4)) {
      if (std::find(changed.images.begin(), changed.images.end(), n) == changed.images.end()) {
        changed.images.push_back(n);
      }
    }
    Tell(stream, changed, changes);
    return;
  }
  const int image = pick(8);
  if (pick(4) == 0) {
    model.images.erase(image);
    changes.Delete(Change::Kind::kImage, Model::Name(image));
    return;
  }
  model.images[image] = {pick(3) == 0 ? numbers(3) : std::vector<int>(), numbers(4), pick(8) == 0};
  Tell(image, model.images[image], changes);
}

// A fresh list of everything.
void List(const Model& model, Index& index) {
  Changes all;
  for (const auto& [number, image] : model.images) Tell(number, image, all);
  for (const auto& [number, stream] : model.streams) Tell(number, stream, all);
  index.BeginList();
  index.AddToList(all.all());
  index.EndList(1);
}

const Form kForms[] = {{}, {{}, true}, {{wire::MediaType::kProtobuf}}, {{.pretty = true}}};

TEST(LayerModel, EveryAnswerOfEveryHistoryIsTheModels) {
  EXPECT_TRUE(rc::check([] {
    const auto pick = [](int n) { return *rc::gen::inRange(0, n); };
    // From a cache that keeps next to nothing to one that keeps everything.
    const size_t cache_bytes = *rc::gen::element<size_t>(0, 3'000, 10'000, 1 << 20);
    Index index({.cache_bytes = cache_bytes}, {});
    index.BeginList();
    index.EndList(1);
    Model model;
    const int steps = *rc::gen::inRange(1, 60);
    for (int step = 0; step < steps; ++step) {
      Changes changes;
      for (int n = pick(3); n >= 0; --n) RandomChange(pick, step + 1, model, changes);
      if (pick(10) == 0) {
        List(model, index);
      } else {
        index.Apply(changes.all());
      }
      for (int stream = 0; stream < 3; ++stream) {
        const Form& form = kForms[pick(std::size(kForms))];
        RC_ASSERT(BodyOf(index, std::to_string(stream), form) == model.Answer(stream, form));
      }
      RC_ASSERT(index.stats().cache.bytes <= cache_bytes);
    }
    size_t bad_images = 0, bad_streams = 0;
    for (const auto& [number, image] : model.images) bad_images += image.unreadable ? 1 : 0;
    for (const auto& [number, stream] : model.streams) bad_streams += stream.unreadable ? 1 : 0;
    const Index::Stats stats = index.stats();
    RC_ASSERT(stats.images == model.images.size());
    RC_ASSERT(stats.streams == model.streams.size());
    RC_ASSERT(stats.unreadable_images == bad_images);
    RC_ASSERT(stats.unreadable_streams == bad_streams);

    index.BeginList();
    index.EndList(1);
    RC_ASSERT(index.stats().names == 3u);  // nothing is left but the well-known ones
    RC_ASSERT(index.stats().cache.bytes == 0u);
  }));
}

TEST(LayerModel, ReadersSeeOnlyAnswersOfRevisionsInTheirWindow) {
  Index index({.cache_bytes = 20'000}, {});
  index.BeginList();
  index.EndList(1);
  constexpr int kSteps = 400;
  // The batches, the model after each, and stream 0's answers then: all made before the threads.
  std::mt19937 random(7);
  const auto pick = [&](int n) { return static_cast<int>(random() % n); };
  std::deque<Changes> batches(1);  // which never moves what the changes point at
  std::vector<Model> models(1);
  std::vector<std::array<std::string, 2>> history = {{"<not found>", "<not found>"}};
  for (int step = 1; step <= kSteps; ++step) {
    Model model = models.back();
    Changes& changes = batches.emplace_back();
    for (int n = 0; n < 2; ++n) RandomChange(pick, step, model, changes);
    history.push_back({model.Answer(0, kForms[0]), model.Answer(0, kForms[2])});
    models.push_back(std::move(model));
  }

  std::atomic<int> published = 0;
  std::atomic<bool> done = false;
  std::atomic<int> checked = 0;
  std::vector<std::thread> readers;
  for (int r = 0; r < 3; ++r) {
    readers.emplace_back([&, r] {
      const int form = r % 2;
      while (!done || checked == 0) {
        const int before = published;
        const std::string body = BodyOf(index, "0", kForms[form * 2]);
        // The step after the published one may already be visible.
        const int after = std::min(published + 1, kSteps);
        bool found = false;
        for (int step = before; step <= after && !found; ++step) {
          found = history[step][form] == body;
        }
        EXPECT_TRUE(found) << before << ".." << after << " " << body;
        if (!found) return;
        ++checked;
      }
    });
  }
  for (int step = 1; step <= kSteps; ++step) {
    if (step % 50 == 0) {
      List(models[step], index);
    } else {
      index.Apply(batches[step].all());
    }
    published = step;
    std::this_thread::yield();
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_GT(checked, 0);
}

}  // namespace
}  // namespace strata::layers

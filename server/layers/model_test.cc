// The index against a model that knows nothing of tables, caches and locks: after any history, and during it, an answer
// is what the algorithm of the reference gives for some revision in the request's window.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <atomic>
#include <map>
#include <random>
#include <thread>

#include "codec/encode_json.h"
#include "server/layers/test_records.h"

namespace strata::layers {
namespace {

// Records by small numbers: image n is a list of children or has layers; streams name images.
struct Model {
  struct Image {
    std::vector<int> children;
    std::vector<int> layers;
  };
  std::map<int, Image> images;
  std::map<int, std::pair<base::Revision, std::vector<int>>> streams;

  static std::string Name(int n) { return "i" + std::to_string(n); }

  std::string Answer(int stream) const {
    const auto found = streams.find(stream);
    if (found == streams.end()) return "<not found>";
    image_v1::ImageStreamLayers layers;
    layers.mutable_metadata()->set_name("s");
    layers.mutable_metadata()->set_resource_version(std::to_string(found->second.first));
    for (const int image : found->second.second) Visit(image, layers);
    return codec::EncodeJson(layers, {"ImageStreamLayers", "image.openshift.io/v1"}) + "\n";
  }

  void Visit(int image, image_v1::ImageStreamLayers& out) const {
    if (out.images().contains(Name(image))) return;
    auto& reference = (*out.mutable_images())[Name(image)];
    const auto found = images.find(image);
    if (found == images.end()) {
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
    std::vector<int> images;
    for (const int n : numbers(4)) {
      if (std::find(images.begin(), images.end(), n) == images.end()) images.push_back(n);
    }
    model.streams[stream] = {revision, images};
    changes.Stream(std::to_string(stream), StreamBytes("s", Names(images, "i")));
    return;
  }
  const int image = pick(8);
  if (pick(4) == 0) {
    model.images.erase(image);
    changes.Delete(Change::Kind::kImage, Model::Name(image));
    return;
  }
  const std::vector<int> children = pick(3) == 0 ? numbers(3) : std::vector<int>();
  const std::vector<int> layers = numbers(4);
  model.images[image] = {children, layers};
  changes.Image(Model::Name(image), children.empty() ? ImageBytes(Names(layers, "l")) : ListBytes(Names(children, "i")));
}

TEST(LayerModel, EveryAnswerOfEveryHistoryIsTheModels) {
  EXPECT_TRUE(rc::check("index equals model", [] {
    Index index({.cache_bytes = 4000}, {});  // small: answers come and go
    Model model;
    const auto pick = [](int n) { return *rc::gen::resize(100, rc::gen::inRange(0, n)); };
    const int steps = *rc::gen::inRange(1, 60);
    for (int step = 0; step < steps; ++step) {
      Changes changes;
      for (int n = pick(3); n >= 0; --n) RandomChange(pick, step + 1, model, changes);
      if (pick(10) == 0) {
        // A fresh list of everything, with what the batch changed.
        Changes all;
        for (const auto& [n, image] : model.images) {
          all.Image(Model::Name(n), image.children.empty() ? ImageBytes(Names(image.layers, "l"))
                                                           : ListBytes(Names(image.children, "i")));
        }
        for (const auto& [n, stream] : model.streams) {
          all.At(stream.first).Stream(std::to_string(n), StreamBytes("s", Names(stream.second, "i")));
        }
        index.BeginList();
        index.AddToList(all.all());
        index.EndList();
      } else {
        index.Apply(changes.all());
      }
      for (int stream = 0; stream < 3; ++stream) {
        RC_ASSERT(BodyOf(index, std::to_string(stream)) == model.Answer(stream));
      }
    }
  }));
}

TEST(LayerModel, ReadersSeeOnlyAnswersOfRevisionsInTheirWindow) {
  Index index({.cache_bytes = 20'000}, {});
  constexpr int kSteps = 400;
  std::vector<std::string> history(kSteps + 1, "<not found>");  // stream 0 at each step; written before it is published
  std::atomic<int> published = 0;
  std::atomic<bool> done = false;
  std::atomic<int> checked = 0;
  std::vector<std::thread> readers;
  for (int r = 0; r < 3; ++r) {
    readers.emplace_back([&] {
      while (!done || checked == 0) {
        const int before = published;
        const std::string body = BodyOf(index, "0");
        // The step after the published one may already be visible.
        const int after = std::min(published + 1, kSteps);
        bool found = false;
        for (int step = before; step <= after && !found; ++step) found = history[step] == body;
        EXPECT_TRUE(found) << before << ".." << after << " " << body;
        if (!found) return;
        ++checked;
      }
    });
  }
  std::mt19937 random(7);
  const auto pick = [&](int n) { return static_cast<int>(random() % n); };
  Model model;
  std::deque<Changes> batches;  // which never moves what the changes point at
  for (int step = 1; step <= kSteps; ++step) {
    Changes& changes = batches.emplace_back();
    for (int n = 0; n < 2; ++n) RandomChange(pick, step, model, changes);
    history[step] = model.Answer(0);
  }
  for (int step = 1; step <= kSteps; ++step) {
    index.Apply(batches[step - 1].all());
    published = step;
    std::this_thread::yield();
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_GT(checked, 0);
}

}  // namespace
}  // namespace strata::layers

// What the response cache counts is what malloc holds for it.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <ostream>

#include "server/layers/records_fixture_test.h"

namespace strata::layers {
namespace {

size_t HeldByMalloc() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

// Streams of so many images of so many layers, which have nothing in common with each other, with
// names as long as real ones.
struct Shape {
  const char* name;
  int streams, images, layers;
  std::vector<Form> forms;
  bool missing = false;  // the images have no records

  friend void PrintTo(const Shape& shape, std::ostream* out) { *out << shape.name; }
};

std::string Digest(int stream, int image, int layer) {
  return fmt::format("sha256:{:020x}{:020x}{:024x}", stream, image, layer);
}

std::string NameOf(int stream) {
  return fmt::format("fulfilment-backend-{}", stream);
}

void Fill(Index& index, const Shape& shape) {
  for (int s = 0; s < shape.streams; ++s) {
    Changes changes;
    std::vector<std::string> images;
    for (int i = 0; i < shape.images; ++i) {
      std::vector<std::string> layers;
      for (int l = 0; l < shape.layers; ++l) layers.push_back(Digest(s, i, 2 + l));
      images.push_back(Digest(s, i, 0));
      if (!shape.missing) changes.Image(images.back(), ImageBytes(layers, Digest(s, i, 1)));
    }
    changes.Stream(NameOf(s), StreamBytes(NameOf(s), images));
    index.Apply(changes.all());
  }
}

// As GCC and clang say it.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
constexpr bool kSanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
constexpr bool kSanitized = false;
#endif

class CacheBytes : public testing::TestWithParam<Shape> {};

TEST_P(CacheBytes, AreWhatMallocHolds) {
  if (kSanitized) GTEST_SKIP() << "the sanitizer's allocator isn't glibc's";
  const Shape& shape = GetParam();
  Index index({}, {});
  Fill(index, shape);
  const auto ask = [&](int streams) {
    for (int s = 0; s < streams; ++s) {
      for (const Form& form : shape.forms) BodyOf(index, NameOf(s), form);
    }
  };
  // What malloc keeps for each thread is there before, and so is nothing that is made once.
  ask(1);
  index.Apply(Changes().Stream(NameOf(0), StreamBytes(NameOf(0), {})).all());
  ASSERT_EQ(index.stats().cache.bytes, 0u);

  const size_t before = HeldByMalloc();
  ask(shape.streams);
  const auto counted = static_cast<double>(index.stats().cache.bytes);
  const auto held = static_cast<double>(HeldByMalloc() - before);
  ASSERT_EQ(index.stats().cache.evictions, 0u);
  RecordProperty("ratio", fmt::format("{:.3f}", counted / held));
  EXPECT_GT(held, 2e6) << "too little to be told from what else moves";
  // A hash table is between half full and full: what it takes for one more is counted as a mean.
  EXPECT_GT(counted / held, 0.95) << counted << " are counted, " << held << " are held";
  EXPECT_LT(counted / held, 1.05) << counted << " are counted, " << held << " are held";

  // And it goes back, but for hash tables, which keep their size.
  for (int s = 0; s < shape.streams; ++s) {
    index.Apply(Changes().Stream(NameOf(s), StreamBytes(NameOf(s), {})).all());
  }
  EXPECT_EQ(index.stats().cache.bytes, 0u);
  EXPECT_LT(static_cast<double>(HeldByMalloc()) - static_cast<double>(before), 0.15 * held);
}

const Form kJson, kProtobuf{{wire::MediaType::kProtobuf}}, kYaml{{wire::MediaType::kYaml}},
    kGzip{{}, true};

INSTANTIATE_TEST_SUITE_P(Answers, CacheBytes,
                         testing::Values(Shape{"OfOneImage", 3000, 1, 1, {kJson}},
                                         Shape{"OfFiveImages", 600, 5, 10, {kJson}},
                                         Shape{
                                             "InThreeForms", 200, 5, 10, {kJson, kProtobuf, kYaml}},
                                         Shape{"WithWarnings", 5000, 3, 0, {kProtobuf}, true},
                                         Shape{"OfNoImage", 6000, 0, 0, {kJson}},
                                         Shape{"Large", 4, 700, 10, {kJson, kProtobuf}},
                                         Shape{"OfMoreThanIsChained", 3, 1500, 3, {kJson}},
                                         Shape{"Compressed", 40, 300, 40, {kGzip}}),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace strata::layers

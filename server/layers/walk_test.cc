#include "server/layers/walk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace strata::layers {
namespace {

using State = Walk::State;
using testing::ElementsAre;

// Names are numbers here.
class Walking : public testing::Test {
 protected:
  ImagePointer Image(NameId name, size_t layers, std::vector<NameId> children = {}) {
    ImageEntry::Parts parts;
    parts.name = name;
    parts.layers.resize(layers, {1000, 1001, 10});
    parts.manifests = std::move(children);
    return ImageEntry::Make(recycler, parts);
  }
  void Put(NameId name, size_t layers, std::vector<NameId> children = {}) {
    images.Put(Image(name, layers, std::move(children)));
  }
  Walk Of(const std::vector<NameId>& names, size_t max_entries = 1000) {
    return {StreamEntry::Make(recycler, "ns/app", 1, "", names), max_entries};
  }
  State Step(Walk& walk, size_t steps) { return walk.Step(steps, images); }
  std::vector<NameId> Names(Walk& walk) {
    std::vector<NameId> names;
    for (const auto& node : walk.TakeGathered().nodes) names.push_back(node.name);
    return names;
  }

  Recycler recycler;
  Images images;
};

TEST_F(Walking, VisitsDepthFirstInStoredOrderHoweverSmallTheSteps) {
  Put(1, 1);
  Put(2, 0, {5, 6, 5});
  Put(3, 2);
  Put(5, 1);
  Put(6, 0, {2, 7, 1});
  for (const size_t steps : {1, 2, 3, 100}) {
    Walk walk = Of({1, 2, 4, 3});
    State state = State::kMore;
    size_t rounds = 0;
    while ((state = Step(walk, steps)) == State::kMore) ++rounds;
    EXPECT_EQ(state, State::kDone);
    EXPECT_EQ(rounds, steps == 100 ? 0 : 10 / steps - (10 % steps == 0 ? 1 : 0)) << steps;
    EXPECT_EQ(walk.entries(), 4u + 1 + 3 + 1 + 3 + 2);
    EXPECT_THAT(Names(walk), ElementsAre(1, 2, 5, 6, 7, 4, 3));
  }
}

TEST_F(Walking, EndsWhereItIsTooMuch) {
  Put(1, 5);
  Put(2, 5);
  Walk fits = Of({1, 2, 3}, 13);
  EXPECT_EQ(Step(fits, 100), State::kDone);
  Walk layers = Of({1, 2, 3}, 12);
  EXPECT_EQ(Step(layers, 2), State::kTooLarge);
  EXPECT_FALSE(layers.Visited(3));
  Walk names = Of({1, 2, 3}, 2);
  EXPECT_EQ(Step(names, 0), State::kTooLarge) << "without a look at any image";
}

TEST_F(Walking, AVisitedImageThatChangesIsTakenAsItIsAtTheEnd) {
  Put(1, 1);
  Walk walk = Of({1, 2, 3});
  EXPECT_EQ(Step(walk, 2), State::kMore);
  const ImagePointer newer = Image(1, 4), appeared = Image(2, 3);
  EXPECT_TRUE(walk.Replace(1, newer));
  EXPECT_TRUE(walk.Replace(2, appeared));
  EXPECT_TRUE(walk.Replace(3, nullptr)) << "not visited yet";
  EXPECT_EQ(walk.entries(), 3u + 4 + 3);
  EXPECT_TRUE(walk.Replace(2, nullptr));
  EXPECT_EQ(Step(walk, 100), State::kDone);
  const Gathered gathered = walk.TakeGathered();
  EXPECT_EQ(gathered.nodes[0].image, newer);
  EXPECT_EQ(gathered.nodes[1].image, nullptr);
  EXPECT_EQ(walk.entries(), 3u + 4);
}

TEST_F(Walking, AListWithOtherChildrenChangesTheWay) {
  Put(1, 0, {5});
  Walk walk = Of({1, 2});
  EXPECT_EQ(Step(walk, 1), State::kMore);
  EXPECT_TRUE(walk.Replace(1, Image(1, 0, {5})));
  images = {};
  EXPECT_FALSE(walk.Replace(1, Image(1, 0, {5, 6})));
  EXPECT_FALSE(walk.Replace(1, nullptr));
  EXPECT_EQ(Step(walk, 100), State::kDone) << "what is replaced lives until its children are seen";
}

}  // namespace
}  // namespace strata::layers

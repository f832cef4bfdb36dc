#include "server/layers/shared_set.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <map>
#include <vector>

namespace strata::layers {
namespace {

struct Thing : boost::intrusive_ref_counter<Thing> {
  Thing(int k, int v) : key(k), value(v) { ++alive; }
  ~Thing() { --alive; }
  const int key, value;
  static inline int alive = 0;
};
using Pointer = boost::intrusive_ptr<const Thing>;

// Tags that `kSame` keys in a row share: leaves grow beyond what can be parted.
template <int kSame>
struct ByKey {
  using Key = int;
  static int Of(const Thing& thing) { return thing.key; }
  static uint32_t TagOf(int key) { return static_cast<uint32_t>(key / kSame); }
};

using Model = std::map<int, int>;

template <typename Set>
Model ModelOf(const Set& set) {
  Model model;
  set.ForEach(
      [&](const Pointer& thing) { EXPECT_TRUE(model.emplace(thing->key, thing->value).second); });
  return model;
}

// Any history, with copies taken on the way, which stay as they were.
template <int kSame>
void ChangeAtRandom() {
  using Set = SharedSet<Pointer, ByKey<kSame>>;
  {
    Set set;
    Model model;
    std::vector<std::pair<Set, Model>> copies;
    const int keys = *rc::gen::element(3, 300, 3'000);
    const int steps = *rc::gen::inRange(1, 4'000);
    for (int step = 0; step < steps; ++step) {
      const int key = *rc::gen::inRange(0, keys);
      const auto before = model.find(key);
      const bool take = *rc::gen::inRange(0, 3) == 0;
      const Pointer old = take ? set.Take(key) : set.Put(Pointer(new Thing(key, step)));
      RC_ASSERT((old == nullptr) == (before == model.end()));
      if (old != nullptr) RC_ASSERT(old->value == before->second);
      if (take) {
        model.erase(key);
      } else {
        model[key] = step;
      }
      const Pointer now = set.Find(key);
      RC_ASSERT((now == nullptr) == take);
      if (now != nullptr) RC_ASSERT(now->value == step);
      if (step % 500 == 7) copies.emplace_back(set, model);
      if (step % 1'900 == 9) copies.clear();
    }
    RC_ASSERT(set.size() == model.size());
    RC_ASSERT(ModelOf(set) == model);
    for (const auto& [copy, was] : copies) {
      RC_ASSERT(copy.size() == was.size());
      RC_ASSERT(ModelOf(copy) == was);
    }
  }
  RC_ASSERT(Thing::alive == 0);
}

TEST(SharedSet, IsAMapAndItsCopiesStayAsTheyWere) {
  EXPECT_TRUE(rc::check([] { ChangeAtRandom<1>(); }));
}

TEST(SharedSet, KeysMayShareTheirTags) {
  EXPECT_TRUE(rc::check([] { ChangeAtRandom<200>(); }));
}

TEST(SharedSet, IsMadeOfManyEntriesAtOnce) {
  EXPECT_TRUE(rc::check([] {
    const int keys = *rc::gen::element(1, 40, 400, 4'000);
    std::vector<Pointer> entries;
    Model model;
    for (int n = *rc::gen::inRange(0, 6'000); n > 0; --n) {
      const int key = *rc::gen::inRange(0, keys);
      entries.push_back(Pointer(new Thing(key, n)));
      model[key] = n;
    }
    SharedSet<Pointer, ByKey<1>> set(entries);
    SharedSet<Pointer, ByKey<200>> colliding(std::move(entries));
    RC_ASSERT(set.size() == model.size());
    RC_ASSERT(ModelOf(set) == model);
    RC_ASSERT(ModelOf(colliding) == model);
    for (const auto& [key, value] : model) {
      RC_ASSERT(set.Take(key)->value == value);
      RC_ASSERT(colliding.Find(key)->value == value);
    }
    RC_ASSERT(set.empty());
  }));
}

TEST(SharedSet, WhatIsntSharedIsChangedInPlace) {
  SharedSet<Pointer, ByKey<1>> set;
  for (int key = 0; key < 10'000; ++key) set.Put(Pointer(new Thing(key, 0)));
  EXPECT_EQ(set.Find(7)->use_count(), 2u) << "the set's, and the one just made";
  const auto copy = set;
  EXPECT_EQ(set.Find(7)->use_count(), 2u) << "a copy shares the leaf";
  set.Put(Pointer(new Thing(7, 1)));
  EXPECT_EQ(copy.Find(7)->value, 0);
  EXPECT_EQ(set.Find(7)->value, 1);
}

}  // namespace
}  // namespace strata::layers

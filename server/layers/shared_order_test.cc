#include "server/layers/shared_order.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace strata::layers {
namespace {

struct Thing : boost::intrusive_ref_counter<Thing> {
  Thing(std::string k, int v) : key(std::move(k)), value(v) {}
  const std::string key;
  const int value;
};
using Pointer = boost::intrusive_ptr<const Thing>;

struct ByKey {
  using Key = std::string_view;
  static std::string_view Of(const Thing& thing) { return thing.key; }
  static bool Less(const Thing& a, std::string_view b) { return a.key < b; }
  static bool Less(std::string_view a, const Thing& b) { return a < b.key; }
};

using Order = SharedOrder<Pointer, ByKey>;
using Model = std::map<std::string, int>;
using Plain = std::vector<std::pair<std::string, int>>;

Plain From(const Order& order, std::string_view begin, size_t most = SIZE_MAX) {
  Plain plain;
  order.VisitFrom(begin, [&](const Pointer& thing) {
    plain.emplace_back(thing->key, thing->value);
    return plain.size() < most;
  });
  return plain;
}

TEST(SharedOrder, IsASortedMapAndItsCopiesStayAsTheyWere) {
  EXPECT_TRUE(rc::check([] {
    const int keys = *rc::gen::element(2, 100, 20'000);
    Model model;
    for (int n = *rc::gen::inRange(0, 10'000); n > 0; --n) model[std::to_string(n % keys)] = -n;
    std::vector<Pointer> entries;
    for (const auto& [key, value] : model) entries.push_back(Pointer(new Thing(key, value)));
    Order order(std::move(entries));
    std::vector<std::pair<Order, Plain>> copies;
    const int steps = *rc::gen::inRange(1, 12'000);
    // Those that only grow get three levels.
    const int one_in = *rc::gen::element(2, 1'000'000);
    for (int step = 0; step < steps; ++step) {
      const std::string key = std::to_string(*rc::gen::inRange(0, keys));
      if (*rc::gen::inRange(0, one_in) == 0) {
        order.Take(key);
        model.erase(key);
      } else {
        order.Put(Pointer(new Thing(key, step)));
        model[key] = step;
      }
      if (step % 3'000 == 7) copies.emplace_back(order, Plain(model.begin(), model.end()));
    }
    RC_ASSERT(order.size() == model.size());
    RC_ASSERT(From(order, "") == Plain(model.begin(), model.end()));
    for (const char* begin : {"", "0", "42", "5000", "99999", "a"}) {
      const Plain expected(model.lower_bound(begin), model.end());
      RC_ASSERT(From(order, begin) == expected);
      RC_ASSERT(order.CountFrom(begin) == expected.size());
      if (expected.size() > 3)
        RC_ASSERT(From(order, begin, 3) == Plain(expected.begin(), expected.begin() + 3));
    }
    for (const auto& [copy, was] : copies) RC_ASSERT(From(copy, "") == was);
    for (const auto& [key, value] : model) order.Take(key);
    RC_ASSERT(order.size() == 0u);
  }));
}

}  // namespace
}  // namespace strata::layers

// The store against the plainest possible model of MVCC: a list of all changes, replayed for every
// question.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "storage/engine/store_fixture_test.h"

namespace strata::engine {
namespace {

struct ModelChange {
  bool deleted = false;
  KeyValue kv;
};

class Model {
 public:
  Revision revision = 1;
  Revision compacted = 0;

  std::map<std::string, KeyValue> At(Revision at) const {
    std::map<std::string, KeyValue> state;
    for (const ModelChange& change : changes_) {
      if (change.kv.mod_revision > at) break;
      if (change.deleted) {
        state.erase(change.kv.key);
      } else {
        state[change.kv.key] = change.kv;
      }
    }
    return state;
  }

  std::vector<std::string> Within(const std::string& key, const std::string& end) const {
    std::vector<std::string> keys;
    for (const auto& [k, kv] : At(revision)) {
      const bool in = end.empty() ? k == key : k >= key && (end == kAll || k < end);
      if (in) keys.push_back(k);
    }
    return keys;
  }

  void Put(Revision at, const std::string& key, const std::string& value) {
    const auto state = At(at);
    const auto old = state.find(key);
    KeyValue kv{
        .key = key, .value = value, .create_revision = at, .mod_revision = at, .version = 1};
    if (old != state.end()) {
      kv.create_revision = old->second.create_revision;
      kv.version = old->second.version + 1;
    }
    changes_.push_back({false, kv});
  }

  void Delete(Revision at, const std::string& key) {
    changes_.push_back({true, {.key = key, .mod_revision = at}});
  }

  // As "revision op key value (prev)" lines.
  std::vector<std::string> History(Revision from) const {
    std::vector<std::string> lines;
    for (const ModelChange& change : changes_) {
      const Revision at = change.kv.mod_revision;
      if (at < from) continue;
      std::optional<KeyValue> prev;
      const auto before = At(at - 1);
      if (const auto found = before.find(change.kv.key);
          found != before.end() && at - 1 >= compacted) {
        prev = found->second;
      }
      lines.push_back(Line(change.deleted, change.kv, prev));
    }
    return lines;
  }

  static std::string Line(bool deleted, const KeyValue& kv, const std::optional<KeyValue>& prev) {
    std::string line = std::to_string(kv.mod_revision) + (deleted ? " - " : " + ") + kv.key + "=" +
                       kv.value + " v" + std::to_string(kv.version) + " c" +
                       std::to_string(kv.create_revision);
    if (prev) line += " was " + prev->value + "@" + std::to_string(prev->mod_revision);
    return line;
  }

 private:
  std::vector<ModelChange> changes_;
};

// Short keys of which some are prefixes of others, and bytes that the index must escape.
std::string AnyKey() {
  return *rc::gen::element<std::string>("a", "ab", std::string("a\0", 2), std::string("a\0\xff", 3),
                                        "b", std::string("\x00\x01", 2), "c", "\xff", "ca", "cb");
}

std::string AnyEnd() {
  return *rc::gen::element<std::string>("", "", kAll, "b", "cb", std::string("a\0\x01", 3),
                                        "\xff\xff");
}

class Checker {
 public:
  Checker(StoreFixture& store, Model& model) : store_(store), model_(model) {}

  void Put() {
    const std::string key = AnyKey();
    const std::string value = *rc::gen::arbitrary<std::string>();
    const auto result = store_->Put({.key = key, .value = value});
    RC_ASSERT(result.ok());
    model_.Put(++model_.revision, key, value);
    RC_ASSERT(result->revision == model_.revision);
  }

  void Delete() {
    const std::string key = AnyKey();
    const std::string end = AnyEnd();
    const auto victims = model_.Within(key, end);
    const auto result = store_->Delete({.key = key, .range_end = end});
    RC_ASSERT(result.ok());
    RC_ASSERT(result->deleted == static_cast<int64_t>(victims.size()));
    if (!victims.empty()) ++model_.revision;
    for (const auto& victim : victims) model_.Delete(model_.revision, victim);
    RC_ASSERT(result->revision == model_.revision);
  }

  // Puts and deletions of different keys, in one revision.
  void Txn() {
    TxnRequest request;
    std::set<std::string> used;
    const Revision at = model_.revision + 1;
    const auto live = model_.At(model_.revision);
    bool changes = false;
    for (int i = *rc::gen::inRange(1, 5); i > 0; --i) {
      const std::string key = AnyKey();
      if (!used.insert(key).second) continue;
      if (*rc::gen::arbitrary<bool>()) {
        request.success.push_back({PutRequest{.key = key, .value = "t"}});
        model_.Put(at, key, "t");
        changes = true;
      } else {
        request.success.push_back({DeleteRequest{.key = key}});
        if (live.contains(key)) {
          model_.Delete(at, key);
          changes = true;
        }
      }
    }
    const auto result = store_->Txn(request);
    RC_ASSERT(result.ok());
    if (changes) model_.revision = at;
    RC_ASSERT(result->revision == model_.revision);
  }

  void Compact() {
    const auto at = *rc::gen::inRange<Revision>(0, model_.revision + 2);
    const bool physical = *rc::gen::arbitrary<bool>();
    const auto result = store_->Compact({.revision = at, .physical = physical});
    const bool possible = at > model_.compacted && at <= model_.revision;
    RC_ASSERT(result.ok() == possible);
    if (possible) model_.compacted = at;
  }

  void CheckRangeAt(Revision at) {
    const auto result = store_->Range({.key = kAll, .range_end = kAll, .revision = at});
    if (at > model_.revision || (at > 0 && at < model_.compacted)) {
      RC_ASSERT(absl::IsOutOfRange(result.status()));
      return;
    }
    RC_ASSERT(result.ok());
    std::vector<KeyValue> expected;
    for (const auto& [key, kv] : model_.At(at > 0 ? at : model_.revision)) expected.push_back(kv);
    RC_ASSERT(result->kvs == expected);
    RC_ASSERT(result->revision == model_.revision);
    RC_ASSERT(result->count == static_cast<int64_t>(expected.size()));
  }

  void CheckPartAt(Revision at) {
    if (at < model_.compacted) return;
    const std::string key = AnyKey();
    const std::string end = AnyEnd();
    const auto limit = *rc::gen::inRange<int64_t>(0, 4);
    const auto result =
        store_->Range({.key = key, .range_end = end, .limit = limit, .revision = at});
    RC_ASSERT(result.ok());
    std::vector<KeyValue> expected;
    for (const auto& [k, kv] : model_.At(at)) {
      if (end.empty() ? k == key : k >= key && (end == kAll || k < end)) expected.push_back(kv);
    }
    RC_ASSERT(result->count == static_cast<int64_t>(expected.size()));
    const bool more = limit > 0 && expected.size() > static_cast<size_t>(limit);
    RC_ASSERT(result->more == more);
    if (more) expected.resize(static_cast<size_t>(limit));
    RC_ASSERT(result->kvs == expected);
  }

  void CheckHistoryFrom(Revision from) {
    std::vector<std::string> lines;
    const auto max_bytes = *rc::gen::element<size_t>(1, 40, 1 << 20);
    for (Revision next = from; next <= model_.revision;) {
      const auto end =
          store_->Changes(next, max_bytes, [&](const Change& change) -> base::StatusOr<size_t> {
            const auto prev = change.Prev();
            RC_ASSERT(prev.ok());
            lines.push_back(Model::Line(change.deleted(), change.kv(), *prev));
            return change.size();
          });
      RC_ASSERT(end.ok());
      RC_ASSERT(end->compacted == model_.compacted);
      if (from < model_.compacted) {
        RC_ASSERT(end->next == from);
        return;
      }
      RC_ASSERT(end->next > next);
      next = end->next;
    }
    RC_ASSERT(lines == model_.History(from));
  }

 private:
  StoreFixture& store_;
  Model& model_;
};

RC_GTEST_PROP(StoreModel, AnswersEveryRevisionAsAReplayOfAllChangesDoes, ()) {
  StoreFixture store({.scrub_changes = 2});
  Model model;
  Checker checker(store, model);
  for (int i = *rc::gen::inRange(1, 60); i > 0; --i) {
    switch (*rc::gen::weightedElement<int>({{8, 0}, {3, 1}, {4, 2}, {1, 3}, {1, 4}})) {
      case 0:
        checker.Put();
        break;
      case 1:
        checker.Delete();
        break;
      case 2:
        checker.Txn();
        break;
      case 3:
        checker.Compact();
        break;
      default:
        store.Reopen();
    }
  }
  for (Revision at = 0; at <= model.revision + 1; ++at) checker.CheckRangeAt(at);
  for (Revision at = 1; at <= model.revision; ++at) {
    checker.CheckPartAt(at);
    checker.CheckHistoryFrom(at);
  }
}

}  // namespace
}  // namespace strata::engine

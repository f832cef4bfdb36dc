// A replica against the plainest possible model: the state of every revision that was.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <string>

#include "storage/replica/history_fixture_test.h"

namespace strata::replica {
namespace {

using State = std::map<std::string, records::Change>;

class Model {
 public:
  Revision revision() const { return states_.empty() ? 1 : states_.rbegin()->first; }

  void Commit(Revision at, const Changes& changes) {
    State state = At(at - 1);
    for (const auto& [key, value] : changes) {
      const auto id = kKeys.Parse(key);
      if (!id) continue;
      const auto now = value ? records::Decode(*id, *value, at) : records::Deleted(*id, at);
      const auto before = state.find(key);
      events_.emplace(at,
                      Text(now) + "(" + (before == state.end() ? "" : Text(before->second)) + ") ");
      state.erase(key);
      if (value) state.emplace(key, now);
    }
    states_[at] = std::move(state);
  }

  State At(Revision revision) const {
    const auto next = states_.upper_bound(revision);
    return next == states_.begin() ? State() : std::prev(next)->second;
  }

  // As ReadText has it.
  std::string Read(const Selection& selection) const {
    const State state = At(selection.revision);
    std::string text;
    size_t records = 0;
    const auto begin = state.lower_bound(selection.begin), end = state.lower_bound(selection.end);
    for (auto at = begin; at != end; ++at) {
      if (selection.limit != 0 && records++ == selection.limit) {
        text += " +";
        break;
      }
      text += (text.empty() ? "" : " ") + Text(at->second);
    }
    return text + " of " + std::to_string(std::distance(begin, end));
  }

  std::string ChangesBetween(Revision from, Revision to) const {
    std::string text;
    for (auto at = events_.lower_bound(from); at != events_.end() && at->first <= to; ++at)
      text += at->second;
    return text + "then " + std::to_string(std::max(from, to + 1));
  }

 private:
  std::map<Revision, State> states_;
  std::multimap<Revision, std::string> events_;
};

records::Id AnyId() {
  if (*rc::gen::arbitrary<bool>()) return Image(*rc::gen::element<std::string>("a", "b", "ab"));
  return Stream(*rc::gen::element<std::string>("n", "n-a"),
                *rc::gen::element<std::string>("s", "s-1", "s.1"));
}

// Of what is there now: nobody hears of the deletion of what isn't.
Changes AnyChanges(const State& now) {
  const auto ids = *rc::gen::inRange(0, 4);
  std::map<std::string, std::optional<std::string>> changes;
  for (int i = 0; i < ids; ++i) {
    const records::Id id = AnyId();
    const std::string object = std::to_string(*rc::gen::inRange(0, 1000));
    auto& value = changes[KeyOf(id)];
    if (const int what = *rc::gen::inRange(0, 6); what < 4)
      value = records::Encode(id.kind, object);
    else if (what == 4)
      value = "no record";
  }
  std::erase_if(changes,
                [&](const auto& change) { return !change.second && now.count(change.first) == 0; });
  if (changes.empty()) changes["/elsewhere"] = "x";
  return {changes.begin(), changes.end()};
}

class Checker {
 public:
  void Commit() {
    const Changes changes = AnyChanges(model_.At(model_.revision()));
    model_.Commit(kept_.Commit(changes), changes);
  }
  // Changes come by a list alone, or there are none.
  void List() {
    const auto unseen = *rc::gen::inRange(0, 2);
    for (int i = 0; i < unseen; ++i) {
      const Changes changes = AnyChanges(model_.At(model_.revision()));
      model_.Commit(kept_.etcd().Commit(changes), changes);
    }
    kept_.List();
  }
  void TimePasses() {
    kept_.clock().Advance(std::chrono::seconds(*rc::gen::inRange(1, 70)));
    const auto steps = *rc::gen::inRange(0, 3);
    for (int i = 0; i < steps; ++i) kept_.Progress();
  }
  void Read() {
    const Revision at = *rc::gen::inRange<Revision>(1, kept_.etcd().revision() + 1);
    const records::Id from = AnyId();
    Selection selection{
        .begin = *rc::gen::element(kKeys.begin(), KeyOf(from)),
        .end = *rc::gen::element(kKeys.end(), KeyOf(from) + "1", kKeys.EndOf(from.kind, from.ns)),
        .revision = at,
        .limit = *rc::gen::element<size_t>(0, 1, 2, 3),
        .count = true};
    if (selection.begin >= selection.end) selection.begin = kKeys.begin();
    const std::string expected = model_.Read(selection);
    RC_ASSERT(ReadText(kept_.history(), selection) == expected);
  }
  void ReadChanges() {
    const Revision oldest = kept_.history().oldest(), newest = kept_.etcd().revision();
    const Revision from = *rc::gen::inRange<Revision>(oldest, newest + 2);
    const Revision to = *rc::gen::inRange<Revision>(oldest, newest + 1);
    const std::string expected = from <= oldest ? "OUT_OF_RANGE" : model_.ChangesBetween(from, to);
    RC_ASSERT(ChangesText(kept_.history(), from, to) == expected);
  }

 private:
  OnReplica kept_;
  Model model_;
};

RC_GTEST_PROP(ReplicaModel, TellsWhatTheBackendHadAtEachRevision, ()) {
  Checker checker;
  const int steps = *rc::gen::inRange(1, 60);
  for (int i = 0; i < steps; ++i) {
    switch (*rc::gen::inRange(0, 12)) {
      case 0:
        checker.List();
        break;
      case 1:
      case 2:
        checker.TimePasses();
        break;
      case 3:
      case 4:
      case 5:
        checker.Read();
        break;
      case 6:
      case 7:
        checker.ReadChanges();
        break;
      default:
        checker.Commit();
    }
  }
}

}  // namespace
}  // namespace strata::replica

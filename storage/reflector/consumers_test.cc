#include "storage/reflector/consumers.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace strata::reflector {
namespace {

using Calls = std::vector<std::string>;

class Noting : public Consumer {
 public:
  Noting(std::string name, Calls& calls) : name_(std::move(name)), calls_(calls) {}

  void BeginList() override { Note("begin"); }
  void ListPage(const std::vector<records::Change>& page) override {
    Note("page of " + std::to_string(page.size()));
  }
  void EndList(base::Revision revision) override { Note("end at " + std::to_string(revision)); }
  void AbortList() override { Note("abort"); }
  void Apply(const std::vector<Batch>& batches, base::Revision revision) override {
    Note(std::to_string(batches.size()) + " to " + std::to_string(revision));
  }
  bool needs_list() override {
    Note("needs?");
    return needs;
  }

  bool needs = false;

 private:
  void Note(const std::string& what) { calls_.push_back(name_ + " " + what); }

  const std::string name_;
  Calls& calls_;
};

TEST(Consumers, AreToldInTheirOrder) {
  Calls calls;
  Noting a("a", calls), b("b", calls);
  Consumers both({&a, &b});
  both.BeginList();
  both.ListPage({{}, {}});
  both.EndList(5);
  both.AbortList();
  both.Apply({{7, {}}}, 8);
  EXPECT_EQ(calls, (Calls{"a begin", "b begin", "a page of 2", "b page of 2", "a end at 5",
                          "b end at 5", "a abort", "b abort", "a 1 to 8", "b 1 to 8"}));
}

TEST(Consumers, NeedAListIfOneDoesAndAllAreAsked) {
  Calls calls;
  Noting a("a", calls), b("b", calls);
  Consumers both({&a, &b});
  EXPECT_FALSE(both.needs_list());
  a.needs = true;
  calls.clear();
  EXPECT_TRUE(both.needs_list());
  EXPECT_EQ(calls, (Calls{"a needs?", "b needs?"}));
}

}  // namespace
}  // namespace strata::reflector

#include "server/layers/name_table.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace strata::layers {
namespace {

const std::string kDigest = "sha256:00ff" + std::string(60, 'a');

TEST(NameTable, GivesEachNameOneIdAndItsTextBack) {
  NameTable table;
  for (const std::string& name :
       {kDigest, std::string("latest"), "sha256:" + std::string(64, 'A'), kDigest + "b"}) {
    const NameId id = table.Intern(name);
    EXPECT_EQ(table.Intern(name), id);
    EXPECT_EQ(table.Text(id), name);
    EXPECT_EQ(table.TextSize(id), name.size());
  }
  EXPECT_TRUE(table.IsDigest(table.Intern(kDigest)));
  EXPECT_FALSE(table.IsDigest(table.Intern("latest")));
  EXPECT_EQ(table.Intern(""), kNoName);
}

TEST(NameTable, InternsManyAsItDoesEach) {
  std::vector<std::string> names = {kDigest, "", "latest", kDigest, kDigest + "b", "latest"};
  for (int i = 0; i < 5000; ++i) names.push_back(std::to_string(i % 3000));  // the table grows
  NameTable table, other;
  const std::vector<NameId> ids =
      table.InternAll(std::vector<std::string_view>(names.begin(), names.end()));
  ASSERT_EQ(ids.size(), names.size());
  for (size_t i = 0; i < names.size(); ++i) {
    EXPECT_EQ(ids[i], other.Intern(names[i]));
    EXPECT_EQ(table.Text(ids[i]), names[i]);
  }
  for (const NameId id : ids) table.Release(id);
  EXPECT_EQ(table.size(), 0u);
}

TEST(NameTable, ComparesByText) {
  NameTable table;
  const NameId a = table.Intern("sha256:" + std::string(64, '1')),
               b = table.Intern("sha256:" + std::string(64, '2'));
  const NameId text = table.Intern("sha25"), later = table.Intern("sha257");
  EXPECT_LT(table.Compare(a, b), 0);
  EXPECT_GT(table.Compare(b, a), 0);
  EXPECT_EQ(table.Compare(a, a), 0);
  EXPECT_LT(table.Compare(text, a), 0);
  EXPECT_GT(table.Compare(later, b), 0);
}

TEST(NameTable, SurvivesRandomInterningAndReleasing) {
  NameTable table;
  std::map<std::string, std::pair<NameId, int>> model;
  std::mt19937 random(1);
  for (int step = 0; step < 200'000; ++step) {
    char text[80];
    const int n = static_cast<int>(random() % 6000);
    if (n % 3 == 0) {
      snprintf(text, sizeof text, "name-%d", n);
    } else {
      snprintf(text, sizeof text, "sha256:%064x", n);
    }
    auto& [id, references] = model[text];
    if (random() % 2 == 0 || references == 0) {
      const NameId got = table.Intern(text);
      ASSERT_TRUE(references == 0 || got == id);
      id = got;
      ++references;
    } else {
      table.Release(id);
      --references;
    }
  }
  size_t live = 0;
  for (const auto& [name, entry] : model) {
    if (entry.second == 0) continue;
    ++live;
    EXPECT_EQ(table.Text(entry.first), name);
  }
  EXPECT_EQ(table.size(), live) << "what is gone isn't in the table";
  for (const auto& [name, entry] : model) {
    if (entry.second == 0) continue;
    EXPECT_EQ(table.Intern(name), entry.first);
  }
  EXPECT_EQ(table.size(), live);
}

}  // namespace
}  // namespace strata::layers

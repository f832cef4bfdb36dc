#include "server/objects/list_maker.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "server/api/continue_token.h"
#include "server/objects/history_fixture_test.h"
#include "server/objects/image_kinds.h"
#include "server/registry/image_v1.h"

namespace strata::objects {
namespace {

class ListMakerTest : public testing::Test {
 protected:
  struct Made {
    std::string bytes;
    size_t pieces = 0, largest = 0;
    base::Status status;
  };
  Made Make(ListQuery query, const wire::Representation& form = {}, size_t memory = 1 << 20) {
    return Make(kinds_.streams, std::move(query), form, memory);
  }
  Made Make(const Kind& kind, ListQuery query, const wire::Representation& form = {},
            size_t memory = 1 << 20) {
    query.revision = query.revision == 0 ? history_.revision() : query.revision;
    base::Shares all(memory);
    ListMaker maker(ListReader(history_, history_.keys(), kind, std::move(query)),
                    ListEncoder(kind.resource, {form}, base::WallTime()), all, "somebody");
    Made made;
    made.status = maker.Prepare();
    while (made.status.ok()) {
      auto piece = maker.Next();
      made.status = piece.status();
      if (!piece.ok() || piece->empty()) break;
      made.largest = std::max(made.largest, piece->size());
      made.bytes += *piece;
      ++made.pieces;
    }
    return made;
  }
  // The names in a compact JSON list.
  static std::vector<std::string> NamesIn(const std::string& json) {
    std::vector<std::string> names;
    constexpr std::string_view kName = R"("metadata":{"name":")";
    for (size_t at = 0; (at = json.find(kName, at)) != json.npos;) {
      at += kName.size();
      names.push_back(json.substr(at, json.find('"', at) - at));
    }
    return names;
  }
  static Selector Labelled(const std::string& selector) {
    return {*api::LabelSelector::Parse(selector), {}, registry::ImageStreams()};
  }

  TestHistory history_;
  const ImageKinds kinds_{image::RegistryHostnames{}};
};

using Names = std::vector<std::string>;

TEST_F(ListMakerTest, ObjectsComeInTheOrderOfTheirKeysAsOfTheRevision) {
  history_.Put("b", "x");
  history_.Put("a", "z");
  const base::Revision then = history_.Put("a", "y");
  history_.Delete("a", "z");
  history_.Put("a", "a");
  EXPECT_EQ(NamesIn(Make({}).bytes), (Names{"a", "y", "x"}));
  EXPECT_EQ(NamesIn(Make({.revision = then}).bytes), (Names{"y", "z", "x"}));
  EXPECT_EQ(NamesIn(Make({.ns = "a", .revision = then}).bytes), (Names{"y", "z"}));
  EXPECT_EQ(NamesIn(Make({.ns = "a", .name = "z", .revision = then}).bytes), (Names{"z"}));
  EXPECT_EQ(NamesIn(Make({.ns = "nowhere"}).bytes), Names());
}

TEST_F(ListMakerTest, ARecordThatCantBeReadIsLeftOut) {
  history_.Put("a", "x");
  history_.Spoil("a", "y");
  history_.Put("a", "z");
  EXPECT_EQ(NamesIn(Make({}).bytes), (Names{"x", "z"}));
}

TEST_F(ListMakerTest, PagesFollowEachOtherByTheirTokens) {
  Names all;
  for (const char c : std::string("abcdefg")) {
    all.push_back(std::string(1, c));
    history_.Put("ns", all.back(), {{"odd", (c % 2) != 0 ? "yes" : "no"}});
  }
  const auto list = [&](int64_t limit, const Selector& selector) {
    Names names;
    std::vector<std::optional<std::string>> remaining;
    std::string start;
    for (;;) {
      const std::string json =
          Make({.ns = "ns", .selector = selector, .limit = limit, .start = start}).bytes;
      for (std::string& name : NamesIn(json)) names.push_back(std::move(name));
      const size_t left = json.find(R"("remainingItemCount":)");
      remaining.push_back(left == json.npos ? std::nullopt
                                            : std::optional(json.substr(left + 21, 1)));
      const size_t token = json.find(R"("continue":")");
      if (token == json.npos) return std::pair(names, remaining);
      const size_t from = token + 12;
      start = api::ParseContinue(json.substr(from, json.find('"', from) - from))->start;
    }
  };
  const auto [names, remaining] = list(3, {});
  EXPECT_EQ(names, all);
  EXPECT_EQ(remaining, (std::vector<std::optional<std::string>>{"4", "1", std::nullopt}));
  // How many are left isn't known where they are selected.
  const auto [odd, unknown] = list(2, Labelled("odd=yes"));
  EXPECT_EQ(odd, (Names{"a", "c", "e", "g"}));
  EXPECT_EQ(unknown, std::vector<std::optional<std::string>>(2));
  EXPECT_EQ(list(7, {}).first, all);
}

TEST_F(ListMakerTest, WhatThereIsNoMemoryForIsMadeTwiceWithTheSameBytes) {
  for (int i = 0; i < 200; ++i) history_.Put("ns", "s" + std::to_string(i), {}, 5'000);
  for (const wire::Representation& form :
       {wire::Representation{wire::MediaType::kProtobuf}, {wire::MediaType::kJson}}) {
    const Made kept = Make({.limit = 190}, form, 64 << 20);
    ASSERT_TRUE(kept.status.ok());
    EXPECT_GT(kept.pieces, 4u);
    for (const size_t memory : {0, 200'000, 400'000}) {
      const Made made = Make({.limit = 190}, form, memory);
      EXPECT_TRUE(made.status.ok());
      EXPECT_TRUE(made.bytes == kept.bytes) << memory;
    }
  }
}

// Each tag is as large as what its stream is annotated with.
TEST_F(ListMakerTest, TheTagsOfOneStreamComeInPieces) {
  constexpr size_t kTags = 64, kAnnotation = 256 << 10;
  image::v1::ImageStream stream;
  stream.mutable_metadata()->set_namespace_("ns");
  stream.mutable_metadata()->set_name("app");
  (*stream.mutable_metadata()->mutable_annotations())["size"].assign(kAnnotation, 'x');
  Names names;
  for (size_t i = 0; i < kTags; ++i) {
    stream.mutable_spec()->add_tags()->set_name("t" + std::to_string(100 + i));
    names.push_back("app:t" + std::to_string(100 + i));
  }
  history_.Put(stream);
  history_.Put("ns", "other");
  for (const size_t memory : {0, 64 << 20}) {
    const Made made = Make(kinds_.tags, {}, {}, memory);
    ASSERT_TRUE(made.status.ok());
    EXPECT_EQ(NamesIn(made.bytes), names);
    EXPECT_GT(made.bytes.size(), kTags * kAnnotation);
    EXPECT_LT(made.largest, 8 * kAnnotation);
    EXPECT_TRUE(Make(kinds_.tags, {}, {}, 0).bytes == made.bytes);
  }
}

// Who is given no token takes what he has for everything.
TEST_F(ListMakerTest, NoLimitCutsAListThatHasNoTokens) {
  Names names;
  for (const char* name : {"a", "b", "c"}) {
    image::v1::ImageStream stream;
    stream.mutable_metadata()->set_namespace_("ns");
    stream.mutable_metadata()->set_name(name);
    stream.mutable_spec()->add_tags()->set_name("t");
    names.push_back(std::string(name) + ":t");
    history_.Put(stream);
  }
  const std::string whole = Make(kinds_.tags, {}).bytes;
  EXPECT_EQ(NamesIn(whole), names);
  for (const int64_t limit : {1, 2, 3}) {
    EXPECT_EQ(Make(kinds_.tags, {.limit = limit}).bytes, whole);
  }
}

TEST_F(ListMakerTest, IsLeftWhenNobodyWaitsAnyMore) {
  history_.Put("ns", "a");
  std::stop_source stop;
  EXPECT_TRUE(Make({.stop = stop.get_token()}).status.ok());
  stop.request_stop();
  EXPECT_EQ(Make({.stop = stop.get_token()}).status.code(), base::StatusCode::kDeadlineExceeded);
}

TEST_F(ListMakerTest, ARevisionThatIsGoneIsSaid) {
  history_.Put("ns", "a");
  const base::Revision then = history_.revision();
  history_.Put("ns", "b");
  history_.Forget(then + 1);
  EXPECT_EQ(Make({.revision = then}).status.code(), base::StatusCode::kOutOfRange);
}

}  // namespace
}  // namespace strata::objects

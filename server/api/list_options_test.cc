#include "server/api/list_options.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>

#include "lib/codec/json_text.h"
#include "lib/codec/json_tree.h"
#include "server/registry/image_v1.h"

namespace strata::api {
namespace {

using Read = ListOptions::Read;

constexpr char kToken[] =
    "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6ODA0LCJzdGFydCI6Ii9wYWdlLTFcdTAwMDAifQ";
constexpr char kNewestToken[] =
    "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTEsInN0YXJ0IjoicGFnZS0zXHUwMDAwIn0";

std::variant<Error, ListOptions> Parse(const std::string& path,
                                       const std::optional<Error>& not_acceptable = {}) {
  const auto info = ParseRequestInfo("GET", "/apis/image.openshift.io/v1/" + path);
  return ParseListOptions(*info, *registry::ImageV1().Find(info->resource), not_acceptable);
}

std::string Said(const std::variant<Error, ListOptions>& answer) {
  const Error* error = std::get_if<Error>(&answer);
  return error == nullptr ? "" : fmt::format("{} {}", error->code, error->message);
}

ListOptions Options(const std::string& path) {
  const auto answer = Parse(path);
  EXPECT_EQ(Said(answer), "") << path;
  return std::get<ListOptions>(answer);
}

using codec::JsonTree;

JsonTree Json(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  std::string compact;
  EXPECT_TRUE(codec::AppendCompact(text, compact)) << path;
  return codec::ParseTree(compact);
}

// A GET of a list or a watch, and what came: whether that was decided by the query alone.
struct Recorded {
  std::string name, target, accept, user_agent, status, body;
};

const std::filesystem::path kGolden = "test/golden-resources";

Recorded Record(std::string name, const JsonTree* request, const JsonTree* response) {
  const JsonTree* headers = codec::Member(request, "headers");
  return {std::move(name),
          codec::StringMember(request, "path"),
          codec::StringMember(headers, "Accept"),
          codec::StringMember(headers, "User-Agent"),
          codec::Member(response, "status")->text,
          codec::StringMember(response, "body")};
}

std::vector<Recorded> RecordedLists() {
  std::vector<Recorded> lists;
  const JsonTree manifest = Json(kGolden / "manifest.json");
  for (const JsonTree& one : codec::Member(&manifest, "cases")->items) {
    const JsonTree* request = codec::Member(&one, "request");
    const JsonTree* response = codec::Member(&one, "response");
    if (codec::StringMember(request, "method") != "GET") continue;
    Recorded record = Record(codec::StringMember(&one, "case"), request, response);
    if (const std::string body = codec::StringMember(response, "file"); !body.empty()) {
      std::ifstream file(kGolden / body, std::ios::binary);
      record.body.assign(std::istreambuf_iterator<char>(file), {});
    }
    lists.push_back(std::move(record));
  }
  return lists;
}

std::vector<Recorded> RecordedWatches() {
  std::vector<Recorded> watches;
  for (const auto& file : std::filesystem::directory_iterator(kGolden / "watches")) {
    const JsonTree watch = Json(file.path());
    watches.push_back(Record(file.path().filename(), codec::Member(&watch, "requestAsSent"),
                             codec::Member(&watch, "response")));
  }
  return watches;
}

// What other parts of the server refuse: rights, paths, the time of the request, and the form of an
// answer that is a list or a stream.
bool IsOthers(const Recorded& record) {
  const std::string_view others[] = {"401", "403", "404", "406"};
  return std::find(std::begin(others), std::end(others), record.status) != std::end(others) ||
         record.target.find("includeObject=") != record.target.npos ||
         record.target.find("timeout=") != record.target.npos ||
         record.body.find("yaml: control characters") != record.body.npos;
}

TEST(ListOptions, AreRefusedAsRecorded) {
  std::vector<Recorded> all = RecordedLists();
  for (Recorded& watch : RecordedWatches()) all.push_back(std::move(watch));
  int refused = 0, taken = 0;
  for (const Recorded& record : all) {
    const auto info = ParseRequestInfo("GET", record.target);
    if (!info || (info->verb != "list" && info->verb != "watch") || IsOthers(record)) continue;
    const registry::Resource* resource = registry::ImageV1().Find(info->resource);
    if (resource == nullptr || !resource->serves("list") || !info->subresource.empty()) continue;
    const wire::Preference preference{record.accept, record.user_agent, info->query.Find("pretty")};
    const auto answer = ParseListOptions(*info, *resource);
    const Error* error = std::get_if<Error>(&answer);
    // What has expired, or isn't there yet, is well asked for.
    const bool well = record.status == "200" || record.status == "410" || record.status == "504";
    ++(well ? taken : refused);
    ASSERT_EQ(error == nullptr, well) << record.name << ": " << Said(answer);
    if (error == nullptr) continue;
    const http::Response response = ToResponse(*error, preference);
    EXPECT_EQ(std::to_string(response.status), record.status) << record.name;
    EXPECT_EQ(*response.body, record.body) << record.name;
  }
  EXPECT_GT(refused, 50);
  EXPECT_GT(taken, 200);
}

TEST(ListOptions, RefuseWhatIsNotRecorded) {
  const std::string invalid = "422 ListOptions.meta.k8s.io \"\" is invalid: ";
  const std::string range =
      R"("18446744073709551616": strconv.ParseUint: parsing "18446744073709551616": value out of )"
      "range";
  const std::pair<std::string, std::string> kCases[] = {
      {"limit=", "400 strconv.ParseInt: parsing \"\": invalid syntax"},
      {"timeoutSeconds=1s", "400 strconv.ParseInt: parsing \"1s\": invalid syntax"},
      {"resourceVersion=18446744073709551616",
       "400 invalid resource version: resourceVersion: Invalid value: " + range},
      {"watch=1&resourceVersion=18446744073709551616",
       "500 resourceVersion: Invalid value: " + range},
      {"resourceVersion=1&resourceVersionMatch=%3C%22%FF",
       invalid + R"(resourceVersionMatch: Unsupported value: "\u003c\"\ufffd": supported values: )"
                 R"("Exact", "NotOlderThan", "")"},
      {"watch=1&sendInitialEvents=true",
       invalid + "resourceVersionMatch: Forbidden: sendInitialEvents requires setting "
                 "resourceVersionMatch to NotOlderThan"},
      {"watch=1&sendInitialEvents=0&resourceVersionMatch=Exact",
       invalid + "[resourceVersionMatch: Forbidden: sendInitialEvents requires setting "
                 "resourceVersionMatch to NotOlderThan, resourceVersionMatch: Unsupported value: "
                 "\"Exact\": supported values: \"NotOlderThan\"]"},
  };
  for (const auto& [query, said] : kCases)
    EXPECT_EQ(Said(Parse("namespaces/res-b/imagestreams?" + query)), said) << query;
}

TEST(ListOptions, RefuseAnotherNameThanThePaths) {
  const std::string other = "400 fieldSelector metadata.name doesn't match requested name";
  const std::string one = "watch/namespaces/a/imagestreams/one";
  EXPECT_EQ(Said(Parse(one + "?fieldSelector=metadata.name%3Dtwo")), other);
  EXPECT_EQ(Said(Parse(one + "?fieldSelector=metadata.namespace%3Da")), other);
  EXPECT_EQ(Said(Parse(one + "?fieldSelector=metadata.name%3Done")), "");
  EXPECT_EQ(Options(one).name, "one");
  EXPECT_EQ(Options(one).fields.RequiresExactMatch("metadata.name"), "one");
}

// What is wrong beside, each time, is told only when this isn't.
TEST(ListOptions, TellTheFirstErrorInUpstreamsOrder) {
  const std::optional<Error> not_acceptable = NotAcceptable(wire::Refusal::kConversion);
  const std::pair<std::string, std::string> kSteps[] = {
      {"timeoutSeconds=x", "400 strconv.ParseInt: parsing \"x\": invalid syntax"},
      {"limit=y", "400 strconv.ParseInt: parsing \"y\": invalid syntax"},
      {"labelSelector=%3D", "400 found '=', expected: !, identifier, or 'end of string'"},
      {"fieldSelector=a", "400 invalid selector: 'a'; can't understand 'a'"},
      {"resourceVersionMatch=Bad", "422 "},
      {"", "406 "},
      {"fieldSelector=a%3Db", "400 \"a\" is not a known field selector"},
      {"continue=abc", "400 invalid continue token: "},
      {"continue=" + std::string(kToken) + "&resourceVersion=x", "400 specifying resource version"},
      {"resourceVersion=x", "400 invalid resource version: "},
  };
  for (size_t i = 0; i < std::size(kSteps); ++i) {
    std::string query;
    for (size_t j = i; j < std::size(kSteps); ++j) query += kSteps[j].first + "&";
    const auto answer = Parse("images?" + query, i <= 5 ? not_acceptable : std::nullopt);
    EXPECT_TRUE(Said(answer).starts_with(kSteps[i].second)) << query << ": " << Said(answer);
  }
  const std::string istags = "namespaces/a/imagestreamtags?watch=1&resourceVersion=x";
  EXPECT_TRUE(Said(Parse(istags)).starts_with("405 "));
  EXPECT_TRUE(Said(Parse(istags + "&fieldSelector=a%3Db")).starts_with("400 "));
}

TEST(ListOptions, OfAListSayAtWhichRevisionItReads) {
  const std::string page = fmt::format("continue={}", kToken);
  const struct {
    std::string query;
    Read read;
    base::Revision revision;
    int64_t limit;
  } kCases[] = {
      {"", Read::kFresh, 0, 0},
      {"resourceVersion=", Read::kFresh, 0, 0},
      {"limit=3", Read::kFresh, 0, 3},
      {"limit=-3", Read::kFresh, 0, 0},
      {"resourceVersion=0", Read::kAnyAge, 0, 0},
      {"resourceVersion=0&limit=3", Read::kAnyAge, 0, 0},
      {"resourceVersion=0&resourceVersionMatch=NotOlderThan&limit=3", Read::kAnyAge, 0, 0},
      {"resourceVersion=00", Read::kAnyAge, 0, 0},
      {"resourceVersion=00&limit=3", Read::kFresh, 0, 3},
      {"resourceVersion=00&resourceVersionMatch=Exact", Read::kFresh, 0, 0},
      {"resourceVersion=650", Read::kNotOlderThan, 650, 0},
      {"resourceVersion=007", Read::kNotOlderThan, 7, 0},
      {"resourceVersion=650&limit=3", Read::kExact, 650, 3},
      {"resourceVersion=650&limit=0", Read::kNotOlderThan, 650, 0},
      {"resourceVersion=650&limit=3&resourceVersionMatch=", Read::kExact, 650, 3},
      {"resourceVersion=650&limit=3&resourceVersionMatch=NotOlderThan", Read::kNotOlderThan, 650,
       3},
      {"resourceVersion=650&resourceVersionMatch=Exact", Read::kExact, 650, 0},
      {"resourceVersion=650&limit=3&fieldSelector=metadata.name%3Da", Read::kNotOlderThan, 650, 3},
      {"resourceVersion=18446744073709551615", Read::kNotOlderThan,
       std::numeric_limits<int64_t>::max(), 0},
      {page, Read::kExact, 804, 0},
      {page + "&limit=3", Read::kExact, 804, 3},
      {page + "&limit=3&resourceVersion=0", Read::kExact, 804, 0},
      {fmt::format("continue={}&limit=3", kNewestToken), Read::kFresh, 0, 3},
  };
  for (const auto& c : kCases) {
    const ListOptions options = Options("namespaces/res-b/imagestreams?" + c.query);
    EXPECT_EQ(options.read, c.read) << c.query;
    EXPECT_EQ(options.revision, c.revision) << c.query;
    EXPECT_EQ(options.limit, c.limit) << c.query;
    EXPECT_EQ(options.start.has_value(), c.query.find("continue") != c.query.npos) << c.query;
    EXPECT_FALSE(options.watch) << c.query;
  }
  EXPECT_EQ(Options("images?" + page).start, std::string("page-1\0", 7));
  EXPECT_EQ(Options("images?resourceVersion=18446744073709551615").revision_text,
            "18446744073709551615");
  EXPECT_EQ(Options("images?resourceVersion=007").revision_text, "7");
}

TEST(ListOptions, OfAWatchSayWhatItBeginsWith) {
  const std::string initial = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
  const std::string without = "watch=1&sendInitialEvents=false&resourceVersionMatch=NotOlderThan";
  const struct {
    std::string query;
    Read read;
    base::Revision revision;
    std::string sent;  // initial events, their end, bookmarks
  } kCases[] = {
      {"watch=1", Read::kFresh, 0, "initial"},
      {"watch=1&resourceVersion=0", Read::kAnyAge, 0, "initial"},
      {"watch=1&resourceVersion=00", Read::kAnyAge, 0, "initial"},
      {"watch=1&allowWatchBookmarks=true", Read::kFresh, 0, "initial end bookmarks"},
      {"watch=1&resourceVersion=00&allowWatchBookmarks=1", Read::kAnyAge, 0, "initial bookmarks"},
      {"watch=1&resourceVersion=804", Read::kExact, 804, ""},
      {"watch=1&resourceVersion=804&allowWatchBookmarks=", Read::kExact, 804, "bookmarks"},
      {"watch=1&resourceVersion=804&allowWatchBookmarks=False", Read::kExact, 804, ""},
      {"watch=1&resourceVersion=804&limit=1&continue=abc", Read::kExact, 804, ""},
      {"watch=1&limit=1&resourceVersion=804", Read::kExact, 804, ""},
      {"watch=maybe", Read::kFresh, 0, "initial"},
      {initial, Read::kFresh, 0, "initial"},
      {initial + "&allowWatchBookmarks=true", Read::kFresh, 0, "initial end bookmarks"},
      {initial + "&resourceVersion=0", Read::kAnyAge, 0, "initial"},
      {initial + "&resourceVersion=650", Read::kNotOlderThan, 650, "initial"},
      {without, Read::kFresh, 0, ""},
      {without + "&resourceVersion=0", Read::kAnyAge, 0, ""},
      {without + "&resourceVersion=650&allowWatchBookmarks=1", Read::kExact, 650, "bookmarks"},
  };
  for (const auto& c : kCases) {
    const ListOptions options = Options("namespaces/res-b/imagestreams?" + c.query);
    EXPECT_TRUE(options.watch) << c.query;
    EXPECT_EQ(options.read, c.read) << c.query;
    EXPECT_EQ(options.revision, c.revision) << c.query;
    std::string sent;
    if (options.initial_events) sent += "initial ";
    if (options.initial_events_end) sent += "end ";
    if (options.allow_bookmarks) sent += "bookmarks ";
    EXPECT_EQ(sent.substr(0, sent.size() - (sent.empty() ? 0 : 1)), c.sent) << c.query;
    EXPECT_EQ(options.limit, 0) << c.query;
    EXPECT_EQ(options.start, std::nullopt) << c.query;
  }
}

// old-watch.*: without watch=1 the parameters are judged as a list's.
TEST(ListOptions, OfTheOldPathsAreAWatchsWithoutItsDefaults) {
  const ListOptions options = Options("watch/namespaces/res-b/imagestreams?allowWatchBookmarks=1");
  EXPECT_TRUE(options.watch);
  EXPECT_EQ(options.read, Read::kAnyAge);
  EXPECT_TRUE(options.initial_events);
  EXPECT_FALSE(options.initial_events_end);
  EXPECT_EQ(Said(Parse("watch/images?sendInitialEvents=1&resourceVersion=1")),
            "422 ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: Forbidden: "
            "sendInitialEvents is forbidden for list");
}

TEST(ListOptions, SayWhenAWatchIsOver) {
  using std::chrono::nanoseconds;
  using std::chrono::seconds;
  const struct {
    const char* query;
    std::optional<nanoseconds> timeout;
  } kCases[] = {{"watch=1", std::nullopt},
                {"watch=1&timeoutSeconds=0", std::nullopt},
                {"watch=1&timeout=2s", std::nullopt},
                {"watch=1&timeoutSeconds=4", seconds(4)},
                {"watch=1&timeoutSeconds=-1", seconds(-1)},
                {"watch=1&timeoutSeconds=9223372036854775807", seconds(-1)}};
  for (const auto& c : kCases)
    EXPECT_EQ(Options(std::string("images?") + c.query).timeout, c.timeout) << c.query;
}

TEST(ListOptions, SayWhichRecordsCanMatch) {
  const struct {
    std::string path, ns;
    std::optional<std::string> name;
  } kCases[] = {
      {"imagestreams", "", {}},
      {"namespaces/a/imagestreams", "a", {}},
      {"namespaces/a/imagestreams?fieldSelector=metadata.name%3Dx", "a", "x"},
      {"namespaces/a/imagestreams?fieldSelector=metadata.name!%3Dx", "a", {}},
      {"namespaces/a/imagestreams?fieldSelector=metadata.name%3D", "a", {}},
      {"namespaces/a/imagestreams?fieldSelector=metadata.name%3Dx/y", "a", {}},
      {"namespaces/a/imagestreams?fieldSelector=metadata.namespace%3Db", "a", {}},
      {"imagestreams?fieldSelector=metadata.name%3Dx", "", {}},
      {"imagestreams?fieldSelector=metadata.namespace%3Db", "b", {}},
      {"imagestreams?fieldSelector=metadata.namespace%3DB", "", {}},
      {"imagestreams?fieldSelector=metadata.namespace%3Db,metadata.name%3Dx", "b", "x"},
      {"imagestreams?watch=1&fieldSelector=metadata.namespace%3Db,metadata.name%3Dx", "b", "x"},
      {fmt::format("imagestreams?fieldSelector=metadata.namespace%3Db&continue={}", kToken),
       "",
       {}},
      {fmt::format("images?fieldSelector=metadata.name%3Dx&continue={}", kToken), "", {}},
      {"images?fieldSelector=metadata.name%3Dx,metadata.namespace%3Db", "", "x"},
  };
  for (const auto& c : kCases) {
    const ListOptions options = Options(c.path);
    EXPECT_EQ(options.ns, c.ns) << c.path;
    EXPECT_EQ(options.name, c.name) << c.path;
  }
}

}  // namespace
}  // namespace strata::api

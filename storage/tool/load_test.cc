// load, dump and get against the embedded store, through its real gRPC services.
#include "storage/tool/load.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lib/base/bytes.h"
#include "storage/tool/connection.h"
#include "storage/tool/dump.h"
#include "storage/tool/input.h"
#include "test/support/bad_records.h"
#include "test/support/records.h"
#include "test/support/temp_dir.h"

namespace strata::tool {
namespace {

namespace fs = std::filesystem;
namespace support = testing_support;
using testing::HasSubstr;
using testing::IsEmpty;

// A store of its own with what the subcommands do to it.
class Store {
 public:
  explicit Store(const fs::path& directory) {
    auto connection =
        Connection::Open({.data_dir = directory.string()}, clock_, obs::NullLogger(), metrics_);
    EXPECT_TRUE(connection.ok()) << connection.status();
    connection_ = *std::move(connection);
  }

  struct Result {
    LoadCounts counts;
    std::vector<std::string> lines;
  };
  Result Load(std::vector<std::string> inputs, std::string default_namespace = "") {
    Result result;
    Console console(clock_, [&](std::string_view line) { result.lines.emplace_back(line); });
    const LoadOptions options{.inputs = std::move(inputs),
                              .default_namespace = std::move(default_namespace)};
    Loader loader(records(), options, clock_, console);
    const base::Status status = loader.Run();
    EXPECT_TRUE(status.ok()) << status;
    result.counts = loader.counts();
    return result;
  }

  struct Dumped {
    std::string text;
    DumpCounts counts;
    std::vector<std::string> lines;
  };
  Dumped Dump(const DumpOptions& options, bool gzip = false) {
    Dumped dumped;
    Console console(clock_, [&](std::string_view line) { dumped.lines.emplace_back(line); });
    char* bytes = nullptr;
    size_t size = 0;
    std::FILE* const memory = open_memstream(&bytes, &size);
    {
      Output output(memory, gzip);
      base::Status status = tool::Dump(records(), options, output, console, dumped.counts);
      if (status.ok()) status = output.Finish();
      EXPECT_TRUE(status.ok()) << status;
    }
    std::fclose(memory);
    dumped.text.assign(bytes, size);
    std::free(bytes);
    return dumped;
  }

  // Every key with its value.
  std::map<std::string, client::KeyValue> All() {
    const auto page = records().List("/", "0", 0, 0);
    EXPECT_TRUE(page.ok()) << page.status();
    std::map<std::string, client::KeyValue> all;
    for (const auto& entry : page->entries) all[entry.key] = entry;
    return all;
  }
  std::map<std::string, std::string> Values() {
    std::map<std::string, std::string> values;
    for (const auto& [key, stored] : All()) values[key] = stored.value;
    return values;
  }

  void Put(const std::string& key, const std::string& value) {
    const auto done = records().Commit({{key, value, 0}});
    ASSERT_TRUE(done.ok() && *done) << done.status();
  }

  RecordStore& records() { return connection_->store(); }

 private:
  const base::FakeClock clock_;
  obs::Metrics metrics_;
  std::unique_ptr<Connection> connection_;
};

class LoadTest : public testing::Test {
 protected:
  std::string Write(const std::string& name, std::string_view bytes) {
    std::ofstream(directory_ / name, std::ios::binary) << bytes;
    return (directory_ / name).string();
  }

  // A second store, empty.
  Store& Other() {
    if (other_ == nullptr) other_ = std::make_unique<Store>(directory_ / "other");
    return *other_;
  }

  const testing_support::TempDir dir_;
  const fs::path directory_ = dir_.path();
  std::unique_ptr<Store> store_ = std::make_unique<Store>(directory_ / "store"), other_;
};

std::string Stream(std::string_view name, std::string_view more = "") {
  return fmt::format("apiVersion: v1\nkind: ImageStream\nmetadata: {{name: {}, namespace: ns}}\n{}",
                     name, more);
}

TEST_F(LoadTest, LoadsTheSamplesOnce) {
  const Store::Result first = store_->Load({"deploy/samples"});
  EXPECT_EQ(first.counts.bad, 0) << testing::PrintToString(first.lines);
  EXPECT_EQ(first.counts.written, 16);
  EXPECT_EQ(first.counts.unchanged, 0);
  EXPECT_EQ(first.counts.skipped.at("RoleBinding"), 2);
  EXPECT_THAT(first.lines, IsEmpty());
  const auto values = store_->All();

  const Store::Result second = store_->Load({"deploy/samples"});
  EXPECT_EQ(second.counts.written, 0);
  EXPECT_EQ(second.counts.unchanged, 16);
  for (const auto& [key, stored] : store_->All())
    EXPECT_EQ(stored.mod_revision, values.at(key).mod_revision) << key;
}

TEST_F(LoadTest, RoundTripsThroughDump) {
  store_->Load({"deploy/samples"});
  const support::RecordGenerator generator(support::Shape{.streams = 30,
                                                          .images_per_stream = 10,
                                                          .multi_arch = 0.2,
                                                          .missing = 0.1,
                                                          .with_manifest = 0.2});
  support::RecordSequence sequence(generator);
  for (support::Record record; sequence.Next(record);) store_->Put(record.key, record.value);

  for (const Format format : {Format::kYaml, Format::kJson}) {
    for (const bool gzip : {false, true}) {
      const Store::Dumped dumped = store_->Dump({.format = format, .page = 7}, gzip);
      EXPECT_EQ(dumped.counts.unreadable, 0) << testing::PrintToString(dumped.lines);
      other_.reset();
      fs::remove_all(directory_ / "other");
      const std::string file = Write("dump", dumped.text);
      EXPECT_EQ(Other().Load({file}).counts.written, dumped.counts.written);
      EXPECT_EQ(Other().Values(), store_->Values());
      EXPECT_EQ(store_->Load({file}).counts.unchanged, dumped.counts.written);
    }
  }
}

// The recorded records of a real server: read, printed, and taken for the same again.
TEST_F(LoadTest, TakesWhatTheReferenceStoredForTheSame) {
  Spool text;
  ASSERT_TRUE(ReadInput("test/golden/etcd.jsonl.gz", 1 << 30, text).ok());
  std::string_view rest = *text.View();
  const auto member = [](std::string_view line, std::string_view name) {
    const size_t begin = line.find(fmt::format("\"{}\": \"", name)) + name.size() + 5;
    return line.substr(begin, line.find('"', begin) - begin);
  };
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    const auto value = base::FromBase64(member(line, "value"));
    ASSERT_TRUE(value) << line.substr(0, 100);
    store_->Put(std::string(member(line, "key")), *value);
  }
  const Store::Dumped dumped = store_->Dump({});
  EXPECT_GT(dumped.counts.written, 2000);
  EXPECT_THAT(dumped.lines, IsEmpty());
  const auto before = store_->Values();
  const Store::Result again = store_->Load({Write("dump.yaml", dumped.text)});
  EXPECT_EQ(again.counts.bad, 0) << testing::PrintToString(again.lines);
  EXPECT_EQ(again.counts.unchanged, dumped.counts.written - 2);
  for (const auto& [key, value] : store_->Values()) {
    // The one whose annotations aren't UTF-8: YAML has U+FFFD there, as Go's JSON does.
    if (key == "/openshift.io/imagestreams/golden-c/invalid-utf8") continue;
    // The one whose metadata has a member twice: of YAML's the last alone is kept, which counts.
    if (before.at(key).find(R"(,"Id":"sha256:aa2e1ae1)") != std::string::npos) continue;
    EXPECT_EQ(value, before.at(key)) << key;
  }
}

TEST_F(LoadTest, WritesImagesBeforeStreams) {
  store_->Load({"deploy/samples"});
  base::Revision last_image = 0, first_stream = INT64_MAX;
  for (const auto& [key, stored] : store_->All()) {
    const bool image = key.starts_with("/openshift.io/images/");
    if (image) last_image = std::max(last_image, stored.mod_revision);
    if (!image) first_stream = std::min(first_stream, stored.mod_revision);
  }
  EXPECT_LT(last_image, first_stream);
}

TEST_F(LoadTest, ReportsBadDocumentsAndGoesOn) {
  const std::string file =
      Write("a.yaml", Stream("a") +
                          "---\nkind: ImageStream\napiVersion: v1\nmetadata:\n  name: [\n---\n" +
                          Stream("b/c") + "---\n" + Stream("d"));
  const Store::Result result = store_->Load({file, (directory_ / "absent").string()});
  EXPECT_EQ(result.counts.written, 2);
  EXPECT_EQ(result.counts.bad, 3);
  ASSERT_EQ(result.lines.size(), 3u);
  EXPECT_THAT(result.lines[0], HasSubstr("a.yaml:9: ")) << "where the parser noticed";
  EXPECT_THAT(result.lines[1], HasSubstr("a.yaml:10: metadata.name: may not contain '/'"));
  EXPECT_THAT(result.lines[2], HasSubstr("absent: No such file or directory"));
}

TEST_F(LoadTest, KeepsUidAndCreationTimeThatADocumentLacks) {
  const std::string file = Write("a.yaml", Stream("a"));
  store_->Load({file});
  const auto first = store_->Values();
  EXPECT_THAT(first.begin()->second, HasSubstr("-4"));
  // Changed, but for its identity.
  store_->Load({Write("a.yaml", Stream("a", "status: {tags: [{tag: t}]}"))});
  EXPECT_NE(store_->Values(), first);
  store_->Load({Write("a.yaml", Stream("a"))});
  EXPECT_EQ(store_->Values(), first);
}

TEST_F(LoadTest, LetsTheLastOfSeveralWin) {
  const std::string file =
      Write("a.yaml", Stream("a", "status: {dockerImageRepository: x}") + "\n---\n" +
                          Stream("a", "status: {dockerImageRepository: second}"));
  EXPECT_EQ(store_->Load({file}).counts.written, 2);
  EXPECT_THAT(store_->Values().begin()->second, HasSubstr("second"));
}

TEST_F(LoadTest, ReplacesUnreadableRecordsAndDumpReportsThem) {
  const support::RecordGenerator generator(support::Shape{.streams = 1});
  const auto generated = generator.Generate(0);
  const support::Record good = support::ToRecord(generated.images[0]);
  for (const support::Badness badness : support::kAllBadness) {
    if (badness == support::Badness::kOtherName || badness == support::Badness::kBadUtf8) continue;
    Store store(directory_ / std::string(support::NameOf(badness)));
    store.Put(good.key, support::MakeBad(good, badness).value);
    store.Put(support::ToRecord(generated.images[1]).key,
              support::ToRecord(generated.images[1]).value);
    const Store::Dumped dumped = store.Dump({});
    EXPECT_EQ(dumped.counts.unreadable, 1) << support::NameOf(badness);
    EXPECT_EQ(dumped.counts.written, 1) << support::NameOf(badness);
    ASSERT_EQ(dumped.lines.size(), 1u);
    EXPECT_TRUE(dumped.lines[0].starts_with(good.key + ": ")) << dumped.lines[0];

    EXPECT_EQ(store.Load({Write("good.json", support::ToJson(generated.images[0]))}).counts.written,
              1);
    EXPECT_EQ(store.Values().at(good.key), good.value) << support::NameOf(badness);
  }
}

TEST_F(LoadTest, TakesJsonAndLegacyValuesForTheSame) {
  const support::RecordGenerator generator(support::Shape{.streams = 1});
  const auto generated = generator.Generate(0);
  const support::Record record = support::AsJson(generated.images[0], "v1");
  store_->Put(record.key, record.value);
  const Store::Result result =
      store_->Load({Write("a.json", support::ToJson(generated.images[0]))});
  EXPECT_EQ(result.counts.unchanged, 1);
}

TEST_F(LoadTest, WritesTheOthersWhenOneIsTooLarge) {
  std::string text;
  for (int i = 0; i < 10; ++i) text += Stream(fmt::format("s{}", i)) + "---\n";
  text += Stream("large", "spec: {dockerImageRepository: " + std::string(2 << 20, 'x') + "}\n");
  const Store::Result result = store_->Load({Write("a.yaml", text)});
  EXPECT_EQ(result.counts.written, 10);
  EXPECT_EQ(result.counts.bad, 1);
  ASSERT_EQ(result.lines.size(), 1u);
  EXPECT_THAT(result.lines[0], HasSubstr("a.yaml:41: "));
}

TEST_F(LoadTest, BearsOthersThatWriteTheSameRecords) {
  const support::RecordGenerator generator(support::Shape{.streams = 40, .images_per_stream = 10});
  std::string text;
  for (int64_t i = 0; i < 40; ++i) {
    const auto generated = generator.Generate(i);
    for (const support::Image& image : generated.images) text += support::ToJson(image) + "\n";
    text += support::ToJson(generated.stream) + "\n";
  }
  const std::string file = Write("a.json", text);
  Store::Result results[2];
  {
    std::vector<std::thread> threads;
    const base::SystemClock clock;
    for (Store::Result& result : results) {
      threads.emplace_back([&] {
        Console console(clock, [&](std::string_view line) { result.lines.emplace_back(line); });
        const LoadOptions options{.inputs = {file}};
        Loader loader(store_->records(), options, clock, console);
        EXPECT_TRUE(loader.Run().ok());
        result.counts = loader.counts();
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  for (const Store::Result& result : results) {
    EXPECT_EQ(result.counts.written + result.counts.unchanged, 440)
        << testing::PrintToString(result.lines);
  }
  EXPECT_EQ(results[0].counts.written + results[1].counts.written, 440)
      << "nothing is written twice";
  EXPECT_EQ(store_->Values().size(), 440u);
}

TEST_F(LoadTest, DumpsByKindAndNamespace) {
  store_->Load({"deploy/samples"});
  EXPECT_EQ(store_->Dump({.kind = records::Kind::kImage}).counts.written, 10);
  EXPECT_EQ(store_->Dump({.kind = records::Kind::kImageStream}).counts.written, 6);
  const Store::Dumped shop = store_->Dump({.ns = "shop"});
  EXPECT_EQ(shop.counts.written, 1);
  EXPECT_TRUE(shop.text.starts_with(
      "---\nkind: ImageStream\napiVersion: image.openshift.io/v1\nmetadata:\n  name: frontend\n"))
      << shop.text;
  EXPECT_EQ(store_->Dump({.ns = "sho"}).counts.written, 0);
  EXPECT_EQ(store_->Dump({.ns = "none", .format = Format::kJson}).text,
            "{\"kind\":\"List\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":[]}\n");
}

TEST_F(LoadTest, PrintsOneRecord) {
  store_->Load({Write("a.yaml", Stream("a"))});
  const auto text =
      PrintRecord(store_->records(), {records::Kind::kImageStream, "ns", "a"}, Format::kYaml);
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_THAT(*text, HasSubstr("\n  resourceVersion: \"2\"\n"));
  EXPECT_EQ(*PrintKey(store_->records(), "/openshift.io/imagestreams/ns/a", Format::kYaml), *text);
  EXPECT_TRUE(RawValue(store_->records(), "/openshift.io/imagestreams/ns/a")->starts_with("k8s"));

  const auto absent =
      PrintRecord(store_->records(), {records::Kind::kImage, "", "b"}, Format::kJson);
  EXPECT_EQ(base::Message(absent.status()), "/openshift.io/images/b: no such record");
  EXPECT_FALSE(PrintKey(store_->records(), "/registry/secrets/a/b", Format::kJson).ok());
}

TEST_F(LoadTest, RefusesADirectoryThatIsHeld) {
  const base::SystemClock clock;
  obs::Metrics metrics;
  const auto second = Connection::Open({.data_dir = (directory_ / "store").string()}, clock,
                                       obs::NullLogger(), metrics);
  EXPECT_EQ(second.status().code(), base::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(base::Message(second.status())), HasSubstr(std::to_string(getpid())));
}

}  // namespace
}  // namespace strata::tool

#include "storage/tool/parse.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace strata::tool {
namespace {

// Every result on a line of its own.
std::string ParseAll(std::string_view text, std::string_view default_namespace = "") {
  DocumentReader reader(text);
  Document document;
  std::string out;
  while (reader.Next(document)) {
    std::vector<ParseResult> results;
    Parse(document, default_namespace, results);
    for (const ParseResult& result : results) {
      if (const auto* bad = std::get_if<BadDocument>(&result)) {
        out += fmt::format("{}: {}\n", bad->line, bad->reason);
      } else if (const auto* skipped = std::get_if<Skipped>(&result)) {
        out += fmt::format("skipped {}\n", skipped->what);
      } else {
        const auto& record = std::get<ParsedRecord>(result);
        const records::Id id = record.id();
        out += fmt::format("{} {}/{}", id.kind == records::Kind::kImage ? "image" : "stream", id.ns,
                           id.name);
        for (const std::string& warning : record.warnings) out += fmt::format(" ({})", warning);
        out += '\n';
      }
    }
  }
  return out;
}

constexpr std::string_view kDigest =
    "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

std::string Image(std::string_view more) {
  return fmt::format("apiVersion: image.openshift.io/v1\nkind: Image\nmetadata:\n  name: {}\n{}",
                     kDigest, more);
}

std::string Stream(std::string_view more, std::string_view metadata = "name: s\n  namespace: ns") {
  return fmt::format("apiVersion: image.openshift.io/v1\nkind: ImageStream\nmetadata:\n  {}\n{}",
                     metadata, more);
}

struct Case {
  std::string_view name;
  std::string text;
  std::string want;
};

TEST(Parse, TakesImagesAndStreams) {
  const std::string image = fmt::format("image /{}\n", kDigest);
  const std::vector<Case> cases = {
      {"an image", Image(""), image},
      {"a stream", Stream(""), "stream ns/s\n"},
      {"the groupless version",
       "apiVersion: v1\nkind: ImageStream\nmetadata: {name: s, namespace: ns}\n", "stream ns/s\n"},
      {"JSON",
       R"({"kind":"ImageStream","apiVersion":"image.openshift.io/v1","metadata":{"name":"s","namespace":"ns"}})",
       "stream ns/s\n"},
      {"a typed list whose items don't say what they are",
       "apiVersion: image.openshift.io/v1\nitems:\n- metadata: {name: s, namespace: ns}\n- "
       "metadata: {name: t, namespace: ns}\n"
       "kind: ImageStreamList\n",
       "stream ns/s\nstream ns/t\n"},
      {"a List in flow style, which can't be cut",
       "kind: List\napiVersion: v1\nitems: [{kind: ImageStream, apiVersion: v1, metadata: {name: "
       "s, namespace: ns}}, "
       "{kind: Pod, apiVersion: v1}]\n",
       "stream ns/s\nskipped Pod\n"},
      {"Lists in a List",
       "kind: List\napiVersion: v1\nitems:\n- kind: ImageStreamList\n  apiVersion: v1\n  items:\n  "
       "- metadata:\n      name: s\n"
       "      namespace: ns\n",
       "stream ns/s\n"},
      {"flow style", "{kind: ImageStream, apiVersion: v1, metadata: {name: s, namespace: ns}}\n",
       "stream ns/s\n"},
      {"a List without items", "kind: List\napiVersion: v1\nitems: null\n", ""},
      {"a List whose items share an anchor",
       "kind: List\napiVersion: v1\nitems:\n- {kind: ImageStream, apiVersion: &v v1, metadata: "
       "{name: s, namespace: &n ns}}\n- {kind: ImageStream, apiVersion: *v, metadata: {name: t, "
       "namespace: *n}}\n",
       "stream ns/s\nstream ns/t\n"},
      {"quoted keys",
       "\"kind\": ImageStream\n\"apiVersion\": v1\n\"metadata\": {\"name\": s, \"namespace\": "
       "ns}\n",
       "stream ns/s\n"},
  };
  for (const Case& c : cases) EXPECT_EQ(ParseAll(c.text), c.want) << c.name;
}

TEST(Parse, PassesOverOtherKinds) {
  EXPECT_EQ(ParseAll("apiVersion: v1\nkind: ConfigMap\ndata: {a: [}\n---\nkind: Image\napiVersion: "
                     "config.openshift.io/v1\n"),
            "skipped ConfigMap\nskipped Image (config.openshift.io/v1)\n")
      << "what isn't ours needn't be right";
  EXPECT_EQ(ParseAll("resources:\n- a.yaml\n"), "skipped no kind\n");
}

TEST(Parse, SaysWhatIsWrongAndWhere) {
  const std::vector<Case> cases = {
      {"YAML syntax", "a: 1\n---\n" + Image("x: [1\ny: 2\n"), "?"},
      {"an alias of nothing", Image("x: *a\n"), "5: *a is the alias of no anchor\n"},
      {"JSON without a comma", "{\"kind\":\"Image\"\n\"apiVersion\":\"v1\"}\n",
       "2: did not find expected ',' or '}' (while parsing a flow mapping that begins in line "
       "1)\n"},
      {"no name", "apiVersion: v1\nkind: Image\n", "1: metadata.name: must not be empty\n"},
      {"no API version", "# c\nkind: Image\n", "2: apiVersion: must not be empty\n"},
      {"no kind", "apiVersion: v1\n", "1: kind: must not be empty\n"},
      {"a name that is a path", Stream("", "name: a/b\n  namespace: ns"),
       "1: metadata.name: may not contain '/'\n"},
      {"a name with a percent sign", Stream("", "name: a%2fb\n  namespace: ns"),
       "1: metadata.name: may not contain '%'\n"},
      {"a name of dots", Stream("", "name: ..\n  namespace: ns"),
       "1: metadata.name: may not be '..'\n"},
      {"a name with a line break", Stream("", "name: \"a\\nb\"\n  namespace: ns"),
       "1: metadata.name: must be UTF-8 without control characters\n"},
      {"a long name", Stream("", "name: " + std::string(256, 'a') + "\n  namespace: ns"),
       "1: metadata.name: may not be longer than 255 bytes\n"},
      {"no namespace", Stream("", "name: s"),
       "1: metadata.namespace: must not be empty (or give --namespace)\n"},
      {"a namespace that is none", Stream("", "name: s\n  namespace: A_b"),
       "1: metadata.namespace: must be at most 63 of a-z, 0-9 and -, with - inside only\n"},
      {"an image with a namespace",
       "apiVersion: v1\nkind: Image\nmetadata: {name: a, namespace: ns}\n",
       "1: metadata.namespace: images have none\n"},
      {"metadata that is no object", Image("dockerImageMetadata: [1]\n"),
       "1: dockerImageMetadata: must be an object\n"},
      {"metadata of an unknown version",
       Image("dockerImageMetadata: {}\ndockerImageMetadataVersion: \"2.0\"\n"),
       "1: dockerImageMetadataVersion: must be 1.0 or pre012\n"},
      {"no metadata, of an unknown version", Image("dockerImageMetadataVersion: \"2.0\"\n"),
       "1: dockerImageMetadataVersion: must be 1.0 or pre012\n"},
      {"a tag without a name", Stream("status:\n  tags:\n  - items: []\n"),
       "1: status.tags[0].tag: must not be empty\n"},
  };
  for (const Case& c : cases) {
    if (c.want == "?") {
      EXPECT_TRUE(ParseAll(c.text).starts_with("skipped no kind\n")) << ParseAll(c.text);
      EXPECT_NE(ParseAll(c.text).find("\n8: "), std::string::npos) << ParseAll(c.text);
    } else {
      EXPECT_EQ(ParseAll(c.text), c.want) << c.name;
    }
  }
}

TEST(Parse, NamesTheLineOfABadItemAndGoesOn) {
  EXPECT_EQ(
      ParseAll("apiVersion: v1\nkind: List\nitems:\n- kind: ImageStream\n  apiVersion: v1\n  "
               "metadata: {name: a, namespace: ns}\n"
               "- kind: ImageStream\n  apiVersion: v1\n  metadata: {name: [}\n"
               "- kind: ImageStream\n  apiVersion: v1\n  metadata: {name: b, namespace: ns}\n")
          .substr(0, 14),
      "stream ns/a\n9:");
}

TEST(Parse, WarnsOfWhatIsProbablyAMistake) {
  EXPECT_EQ(
      ParseAll("apiVersion: v1\nkind: Image\nmetadata: {name: my-image}\n"),
      "image /my-image (metadata.name: isn't a digest, which image streams name images by)\n");
  EXPECT_EQ(
      ParseAll(Image("dockerImageLayers: [{size: -1}]\ndockerImageManifests: [{digest: a}]\n")),
      fmt::format("image /{} (dockerImageLayers[0].size: is negative) (dockerImageLayers[0].name: "
                  "is empty) (has both layers and manifests: the layers won't be "
                  "shown)\n",
                  kDigest));
  EXPECT_EQ(ParseAll(Stream("status: {tags: [{tag: a}, {tag: b}, {tag: a}]}\n")),
            "stream ns/s (status.tags: tag a stands there twice)\n");
}

TEST(Parse, FillsInWhatTheApiWould) {
  Document document;
  document.text =
      "apiVersion: v1\nkind: ImageStream\nmetadata: {name: s, resourceVersion: '12', selfLink: "
      "/x}\n"
      "spec: {tags: [{name: b}, {name: a, importPolicy: {importMode: PreserveOriginal}, "
      "referencePolicy: {type: Local}}]}\n"
      "status: {tags: [{tag: b}, {tag: a}]}\n";
  std::vector<ParseResult> results;
  Parse(document, "ns", results);
  ASSERT_EQ(results.size(), 1u);
  auto& record = std::get<ParsedRecord>(results[0]);
  const auto& stream = std::get<image_v1::ImageStream>(record.object);
  EXPECT_EQ(stream.metadata().namespace_(), "ns");
  EXPECT_EQ(stream.metadata().resource_version(), "");
  EXPECT_EQ(stream.metadata().self_link(), "");
  EXPECT_EQ(stream.metadata().generation(), 1);
  ASSERT_EQ(stream.spec().tags_size(), 2);
  EXPECT_EQ(stream.spec().tags(0).name(), "a");
  EXPECT_EQ(stream.spec().tags(0).import_policy().import_mode(), "PreserveOriginal");
  EXPECT_EQ(stream.spec().tags(0).reference_policy().type(), "Local");
  EXPECT_EQ(stream.spec().tags(1).import_policy().import_mode(), "Legacy");
  EXPECT_EQ(stream.spec().tags(1).reference_policy().type(), "Source");
  EXPECT_EQ(stream.status().tags(0).tag(), "a");

  document.text = Image("dockerImageMetadata:\n  Id: a<b\n  Size: 1\n");
  results.clear();
  Parse(document, "ns", results);
  const auto& image = std::get<image_v1::Image>(std::get<ParsedRecord>(results.at(0)).object);
  EXPECT_EQ(image.docker_image_metadata().raw(), "{\"Id\":\"a\\u003cb\",\"Size\":1}\n");
  EXPECT_EQ(image.docker_image_metadata_version(), "1.0");
}

TEST(KeepIdentity, PrefersWhatTheRecordSaysThenWhatIsStored) {
  ObjectMeta given, stored, empty;
  stored.set_uid("stored");
  stored.mutable_creation_timestamp()->set_seconds(5);
  given.set_uid("given");
  KeepIdentity(&stored, "new", 9, given);
  EXPECT_EQ(given.uid(), "given");
  EXPECT_EQ(given.creation_timestamp().seconds(), 5);
  KeepIdentity(nullptr, "new", 9, empty);
  EXPECT_EQ(empty.uid(), "new");
  EXPECT_EQ(empty.creation_timestamp().seconds(), 9);
}

TEST(NewUid, IsARandomUuid) {
  const std::string uid = NewUid();
  ASSERT_EQ(uid.size(), 36u);
  EXPECT_EQ(uid[14], '4');
  EXPECT_NE(std::string_view("89ab").find(uid[19]), std::string_view::npos);
  EXPECT_NE(NewUid(), uid);
}

TEST(Samples, AreGood) {
  int records = 0;
  for (const auto& entry : std::filesystem::directory_iterator("deploy/samples")) {
    if (entry.path().extension() != ".yaml" || entry.path().filename() == "rbac.yaml") continue;
    std::ifstream file(entry.path());
    const std::string text(std::istreambuf_iterator<char>(file), {});
    DocumentReader reader(text);
    for (Document document; reader.Next(document); ++records) {
      std::vector<ParseResult> results;
      Parse(document, "", results);
      ASSERT_EQ(results.size(), 1u) << entry.path() << ":" << document.line;
      const auto* record = std::get_if<ParsedRecord>(&results[0]);
      ASSERT_NE(record, nullptr) << entry.path() << ":" << document.line;
      EXPECT_TRUE(record->warnings.empty()) << record->warnings[0];
    }
  }
  EXPECT_GT(records, 15);
}

}  // namespace
}  // namespace strata::tool

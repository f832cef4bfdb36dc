#include "test/support/bad_records.h"

#include <string>

#include "test/support/random.h"

namespace strata::testing_support {
namespace {

constexpr size_t kDepth = 100'000;

std::string RandomBytes(uint64_t seed, size_t size) {
  Random random(seed);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.Next());
  return bytes;
}

std::string Repeated(std::string_view text, size_t times) {
  std::string out;
  out.reserve(text.size() * times);
  for (size_t i = 0; i < times; ++i) out += text;
  return out;
}

std::string_view KindOf(const Record& record) {
  return record.kind == RecordKind::kImage ? "Image" : "ImageStream";
}

}  // namespace

std::string_view NameOf(Badness badness) {
  switch (badness) {
    case Badness::kEncrypted:
      return "encrypted";
    case Badness::kWrongKind:
      return "wrong-kind";
    case Badness::kWrongGroup:
      return "wrong-group";
    case Badness::kTruncated:
      return "truncated";
    case Badness::kEmpty:
      return "empty";
    case Badness::kRandom:
      return "random";
    case Badness::kRandomBody:
      return "random-body";
    case Badness::kJsonBomb:
      return "json-bomb";
    case Badness::kGroupBomb:
      return "group-bomb";
    case Badness::kJunk:
      return "junk";
    case Badness::kJsonSyntax:
      return "json-syntax";
    case Badness::kBadUtf8:
      return "bad-utf8";
    case Badness::kOtherName:
      return "other-name";
  }
  return "?";
}

Record MakeBad(const Record& good, Badness badness, uint64_t seed) {
  constexpr std::string_view kGroup = "image.openshift.io/v1";
  Record bad = good;
  switch (badness) {
    case Badness::kEncrypted:
      bad.value = "k8s:enc:aescbc:v1:key1:" + RandomBytes(seed, 256);
      break;
    case Badness::kWrongKind:
      bad.value = Envelope("v1", "Secret", std::string("\x0a\x03\x0a\x01x", 5));
      break;
    case Badness::kWrongGroup:
      bad.value =
          Envelope("images.example.com/v1", KindOf(good), std::string("\x0a\x03\x0a\x01x", 5));
      break;
    case Badness::kTruncated:
      bad.value.resize(bad.value.size() * 2 / 3);
      break;
    case Badness::kEmpty:
      bad.value.clear();
      break;
    case Badness::kRandom:
      bad.value = RandomBytes(seed, 2'000);
      break;
    case Badness::kRandomBody:
      bad.value = Envelope(kGroup, KindOf(good), RandomBytes(seed, 2'000));
      break;
    case Badness::kJsonBomb:
      bad.value = std::string(R"({"kind":")") + std::string(KindOf(good)) +
                  R"(","apiVersion":"image.openshift.io/v1","x":)" +
                  Repeated("{\"a\":[", kDepth / 2) + Repeated("]}", kDepth / 2) + "}";
      break;
    case Badness::kGroupBomb:
      // Field 100, begin and end of a group.
      bad.value = Envelope(kGroup, KindOf(good),
                           Repeated("\xa3\x06", kDepth) + Repeated("\xa4\x06", kDepth));
      break;
    case Badness::kJunk:
      bad.value = Envelope(kGroup, KindOf(good), std::string(1 << 20, '\xff'));
      break;
    case Badness::kJsonSyntax:
      bad.value = std::string(R"({"kind":")") + std::string(KindOf(good)) +
                  R"(","apiVersion":"image.openshift.io/v1","metadata":{"name":"x)";
      break;
    case Badness::kBadUtf8:
      bad.value = Envelope(kGroup, KindOf(good), std::string("\x0a\x04\x0a\x02\xff\xfe", 6));
      break;
    case Badness::kOtherName:
      bad.value =
          Envelope(kGroup, KindOf(good), std::string("\x0a\x0c\x0a\x05other\x1a\x03xyz", 14));
      break;
  }
  return bad;
}

Record AsJson(const Image& image, std::string_view api_version, std::string_view prefix) {
  return {RecordKind::kImage, "", image.metadata.name, ImageKey(image.metadata.name, prefix),
          ToJson(image, api_version)};
}

Record AsJson(const ImageStream& stream, std::string_view api_version, std::string_view prefix) {
  return {RecordKind::kImageStream, stream.metadata.ns, stream.metadata.name,
          StreamKey(stream.metadata.ns, stream.metadata.name, prefix), ToJson(stream, api_version)};
}

}  // namespace strata::testing_support

#include "test/support/records.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "test/support/random.h"

namespace strata::testing_support {
namespace {

constexpr std::string_view kApiVersion = "image.openshift.io/v1";
constexpr std::string_view kRegistry = "image-registry.openshift-image-registry.svc:5000";
constexpr std::string_view kSchema2 = "application/vnd.docker.distribution.manifest.v2+json";
constexpr std::string_view kSchema2Layer = "application/vnd.docker.image.rootfs.diff.tar.gzip";
constexpr std::string_view kOci = "application/vnd.oci.image.manifest.v1+json";
constexpr std::string_view kOciLayer = "application/vnd.oci.image.layer.v1.tar+gzip";
constexpr std::string_view kOciIndex = "application/vnd.oci.image.index.v1+json";
constexpr int64_t kEpoch = 1'767'225'600;  // 2026-01-01

// What generators of numbered things are seeded with, beside the number.
enum Series : uint64_t { kNames = 1, kBase, kStream, kImage };

constexpr const char* kTeams[] = {
    "payments", "catalog",       "identity", "search", "checkout", "fulfilment",  "data-platform",
    "ml",       "observability", "mobile",   "web",    "billing",  "partner-api", "logistics"};
constexpr const char* kStages[] = {"dev", "test", "stage", "prod", "ci", "cicd", "build"};
constexpr const char* kRuntimes[] = {"nodejs-18-ubi8",    "nodejs-20-ubi9",  "python-39-ubi8",
                                     "python-311-ubi9",   "openjdk-17-ubi8", "openjdk-21-ubi9",
                                     "golang-1.22-ubi9",  "ruby-33-ubi9",    "php-82-ubi9",
                                     "dotnet-80-ubi8",    "nginx-124-ubi9",  "httpd-24-ubi9",
                                     "postgresql-15-el9", "mariadb-105-el9", "redis-7-el9"};
constexpr const char* kRoles[] = {"api",  "worker", "frontend", "gateway",  "migrations",
                                  "cron", "proxy",  "batch",    "operator", "cli"};
constexpr const char* kArchitectures[] = {"amd64", "arm64", "ppc64le", "s390x"};
constexpr int kStreamsPerNamespace = 40;

std::string Digest(Random& random) {
  return "sha256:" + random.Hex(64);
}

Layer MakeLayer(Random& random, int64_t low, int64_t high) {
  return {Digest(random), random.Between(low, high), std::string(kSchema2Layer)};
}

// Text with the words, quotes and markup that labels of real images have.
std::string Prose(Random& random, size_t size) {
  static constexpr const char* kWords[] = {"base",
                                           "image",
                                           "which",
                                           "allows",
                                           "using",
                                           "of",
                                           "source-to-image",
                                           "builds",
                                           "with",
                                           "the",
                                           "runtime",
                                           "installed",
                                           "for",
                                           "applications",
                                           "that",
                                           "listen",
                                           "on",
                                           "port",
                                           "8080",
                                           "<default>",
                                           "\"latest\"",
                                           "see",
                                           "https://example.com/docs?a=1&b=2",
                                           "and"};
  std::string text;
  while (text.size() < size) {
    text += random.Pick(kWords);
    text += ' ';
  }
  if (!text.empty()) text.pop_back();
  return text;
}

// As the reference stores it: a DockerImage of version 1.0.
std::string DockerMetadata(Random& random, std::string_view id, std::string_view runtime,
                           std::string_view architecture, int64_t created, int64_t size,
                           size_t want_bytes) {
  const std::string version =
      fmt::format("{}.{}.{}", random.Between(1, 24), random.Below(20), random.Below(40));
  const std::string config = fmt::format(
      R"("User":"1001","ExposedPorts":{{"8080/tcp":{{}}}},"Env":["PATH=/opt/app-root/src/bin:/opt/app-root/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin","container=oci","STI_SCRIPTS_PATH=/usr/libexec/s2i","APP_ROOT=/opt/app-root","HOME=/opt/app-root/src","PLATFORM=el9","VERSION={}","NAME={}"],"Cmd":["/bin/sh","-c","$STI_SCRIPTS_PATH/usage"],"WorkingDir":"/opt/app-root/src","Entrypoint":["container-entrypoint"])",
      version, runtime);
  std::string text = fmt::format(
      R"({{"kind":"DockerImage","apiVersion":"image.openshift.io/1.0","Id":"{}","Created":"{}","Container":"{}","ContainerConfig":{{"Hostname":"{}",{}}},"DockerVersion":"1.13.1","Author":"Build Team \u003cbuild@example.com\u003e","Config":{{{},"Labels":{{"architecture":"{}","build-date":"{}","com.redhat.component":"{}-container","com.redhat.license_terms":"https://www.redhat.com/en/about/red-hat-end-user-license-agreements#UBI","io.k8s.display-name":"{} {}","io.openshift.expose-services":"8080:http","io.openshift.s2i.scripts-url":"image:///usr/libexec/s2i","name":"ubi9/{}","release":"{}","vcs-ref":"{}","version":"{}")",
      id, Rfc3339(created), random.Hex(64), random.Hex(12), config, config, architecture,
      Rfc3339(created), runtime, runtime, version, runtime, random.Below(5000), random.Hex(40),
      version);
  const size_t tail = 120;
  if (text.size() + tail < want_bytes) {
    text += ",\"description\":" + JsonString(Prose(random, want_bytes - text.size() - tail));
  }
  text += fmt::format(R"(}}}},"Architecture":"{}","Size":{}}})", architecture, size);
  return text;
}

std::string ManifestText(const Image& image, std::string_view config_digest) {
  std::string text = fmt::format(
      "{{\n   \"schemaVersion\": 2,\n   \"mediaType\": \"{}\",\n   \"config\": {{\n      \"size\": "
      "7023,\n      \"digest\": "
      "\"{}\"\n   }},\n   \"layers\": [",
      image.media_type, config_digest);
  for (size_t i = 0; i < image.layers.size(); ++i) {
    const Layer& layer = image.layers[i];
    text += fmt::format(
        "{}\n      {{\n         \"mediaType\": \"{}\",\n         \"size\": {},\n         "
        "\"digest\": \"{}\"\n      }}",
        i == 0 ? "" : ",", layer.media_type, layer.size, layer.name);
  }
  return text + "\n   ]\n}";
}

std::string Prefixed(std::string_view prefix) {
  std::string path = "/";
  path += prefix;
  return path;
}

}  // namespace

Shape DataSetA() {
  return {.streams = 1'000,
          .images_per_stream = 5,
          .min_layers = 10,
          .max_layers = 10,
          .multi_arch = 0};
}
Shape DataSetB() {
  return {.streams = 10'000,
          .images_per_stream = 10,
          .min_layers = 10,
          .max_layers = 10,
          .multi_arch = 0};
}
Shape DataSetC() {
  return {.streams = 1,
          .images_per_stream = 2'000,
          .min_layers = 12,
          .max_layers = 12,
          .tags = 20,
          .multi_arch = 0};
}
Shape DataSetD() {
  return {.streams = 50'000,
          .images_per_stream = 20,
          .min_layers = 10,
          .max_layers = 10,
          .min_metadata = 1'800,
          .max_metadata = 2'400,
          .multi_arch = 0};
}

std::string ImageKey(std::string_view name, std::string_view prefix) {
  return Prefixed(prefix) + "/images/" + std::string(name);
}

std::string StreamKey(std::string_view ns, std::string_view name, std::string_view prefix) {
  return fmt::format("{}/imagestreams/{}/{}", Prefixed(prefix), ns, name);
}

Record ToRecord(const Image& image, std::string_view prefix) {
  return {RecordKind::kImage, "", image.metadata.name, ImageKey(image.metadata.name, prefix),
          Envelope(kApiVersion, "Image", ToProtobuf(image))};
}

Record ToRecord(const ImageStream& stream, std::string_view prefix) {
  return {RecordKind::kImageStream, stream.metadata.ns, stream.metadata.name,
          StreamKey(stream.metadata.ns, stream.metadata.name, prefix),
          Envelope(kApiVersion, "ImageStream", ToProtobuf(stream))};
}

RecordGenerator::RecordGenerator(const Shape& shape) : shape_(shape) {
  // Of a base image the first layer is big, and those on it small.
  for (int base = 0; base < shape_.bases; ++base) {
    Random random(shape_.seed, kBase, static_cast<uint64_t>(base));
    std::vector<Layer> layers = {MakeLayer(random, 70'000'000, 90'000'000)};
    while (static_cast<int>(layers.size()) < shape_.max_layers)
      layers.push_back(MakeLayer(random, 500, 20'000'000));
    bases_.push_back(std::move(layers));
  }
}

StreamName RecordGenerator::NameOf(int64_t stream) const {
  const int64_t ns = stream / kStreamsPerNamespace, index = stream % kStreamsPerNamespace;
  Random random(shape_.seed, kNames, static_cast<uint64_t>(ns));
  StreamName name;
  name.ns = fmt::format("{}-{}-{}", random.Pick(kTeams), random.Pick(kStages), ns);
  // The first few are builder images, as an `openshift` namespace has them; the rest applications.
  name.name = index < static_cast<int64_t>(std::size(kRuntimes))
                  ? std::string(kRuntimes[index])
                  : fmt::format("{}-{}-{}", random.Pick(kTeams),
                                kRoles[index % static_cast<int64_t>(std::size(kRoles))], index);
  return name;
}

// Most are a base image's, which many streams have; the last one or two are the stream's own, such
// as a runtime.
std::vector<Layer> RecordGenerator::SharedLayers(int64_t stream, int count) const {
  Random random(shape_.seed, kStream, static_cast<uint64_t>(stream) << 1 | 1);
  const std::vector<Layer>& base = bases_[random.Below(bases_.size())];
  const int of_stream = count >= 5 ? 2 : count >= 3 ? 1 : 0;
  std::vector<Layer> layers(base.begin(), base.begin() + (count - of_stream));
  for (int i = 0; i < of_stream; ++i) layers.push_back(MakeLayer(random, 1'000'000, 200'000'000));
  return layers;
}

RecordGenerator::StreamWithImages RecordGenerator::Generate(int64_t stream) const {
  Random random(shape_.seed, kStream, static_cast<uint64_t>(stream) << 1);
  const StreamName name = NameOf(stream);
  const std::string repository = fmt::format("{}/{}/{}", kRegistry, name.ns, name.name);
  const int64_t newest = kEpoch + random.Between(0, 200 * 86'400);
  const bool multi_arch = random.Chance(shape_.multi_arch);
  const int max_own = std::min(shape_.own_layers, shape_.min_layers);
  const std::vector<Layer> shared = SharedLayers(stream, shape_.max_layers - max_own);

  StreamWithImages out;
  std::vector<std::string> tagged;  // newest first
  int64_t number = stream * shape_.images_per_stream;
  const auto add = [&](Image image, Random& of_image, std::string_view architecture,
                       bool has_record) {
    image.metadata.created = newest - static_cast<int64_t>(tagged.size()) * 9'137;
    image.metadata.uid = fmt::format("{}-{}-4{}-a{}-{}", of_image.Hex(8), of_image.Hex(4),
                                     of_image.Hex(3), of_image.Hex(3), of_image.Hex(12));
    image.reference = repository + "@" + image.metadata.name;
    int64_t size = 4'096;
    for (const Layer& layer : image.layers) size += layer.size;
    const std::string id = image.children.empty() ? Digest(of_image) : image.metadata.name;
    // Squared, so that long ones are few.
    const auto spread = static_cast<uint64_t>(shape_.max_metadata - shape_.min_metadata + 1);
    const size_t want = static_cast<size_t>(shape_.min_metadata) +
                        of_image.Below(spread) * of_image.Below(spread) / spread;
    image.docker_metadata =
        DockerMetadata(of_image, id, name.name, architecture, image.metadata.created, size, want);
    if (of_image.Chance(shape_.with_manifest)) {
      image.manifest = ManifestText(image, id);
      image.config = fmt::format(
          R"({{"architecture":"{}","os":"linux","rootfs":{{"type":"layers","diff_ids":["{}"]}}}})",
          architecture, Digest(of_image));
    } else {
      image.metadata.annotations["image.openshift.io/manifestBlobStored"] = "true";
    }
    if (has_record) {
      out.images.push_back(std::move(image));
    } else {
      out.missing.push_back(image.metadata.name);
    }
  };

  // The layers of one image, given which media types it speaks.
  const auto layers_for = [&](Random& of_image, std::string_view layer_type) {
    const int count = static_cast<int>(of_image.Between(shape_.min_layers, shape_.max_layers));
    const int own = std::min(shape_.own_layers, count);
    std::vector<Layer> layers(
        shared.begin(),
        shared.begin() + std::min<int>(count - own, static_cast<int>(shared.size())));
    while (static_cast<int>(layers.size()) < count)
      layers.push_back(MakeLayer(of_image, 200, 60'000'000));
    if (!layer_type.empty()) {
      for (Layer& layer : layers) layer.media_type = layer_type;
    } else if (of_image.Chance(shape_.conflicts)) {
      layers[0].media_type = kOciLayer;
    }
    return layers;
  };

  for (int64_t left = shape_.images_per_stream; left > 0;) {
    Random of_image(shape_.seed, kImage, static_cast<uint64_t>(number++));
    Image image;
    image.metadata.name = Digest(of_image);
    image.metadata.annotations = {{"image.openshift.io/dockerLayersOrder", "ascending"},
                                  {"openshift.io/image.managed", "true"}};
    const bool has_record = !of_image.Chance(shape_.missing);
    const std::string top = image.metadata.name;
    if (multi_arch && left >= 5) {
      for (const char* architecture : kArchitectures) {
        Random of_child(shape_.seed, kImage, static_cast<uint64_t>(number++));
        Image child;
        child.metadata.name = Digest(of_child);
        child.metadata.annotations = image.metadata.annotations;
        child.media_type = kOci;
        // Other architectures share no bytes.
        child.layers = layers_for(of_child, kOciLayer);
        for (Layer& layer : child.layers) {
          Random of_layer(std::stoull(layer.name.substr(7, 16), nullptr, 16), kBase,
                          static_cast<uint64_t>(*architecture));
          layer.name = Digest(of_layer);
        }
        image.children.push_back({child.metadata.name, std::string(kOci),
                                  of_child.Between(800, 2'500), architecture, "linux",
                                  std::string_view(architecture) == "arm64" ? "v8" : ""});
        const bool child_has_record = !of_child.Chance(shape_.missing);
        add(std::move(child), of_child, architecture, child_has_record);
      }
      image.media_type = kOciIndex;
      left -= 5;
    } else {
      image.media_type = kSchema2;
      image.layers = layers_for(of_image, "");
      left -= 1;
    }
    add(std::move(image), of_image, "amd64", has_record);
    tagged.push_back(top);
  }

  ImageStream& s = out.stream;
  s.metadata.ns = name.ns;
  s.metadata.name = name.name;
  s.metadata.uid = fmt::format("{}-{}-4{}-b{}-{}", random.Hex(8), random.Hex(4), random.Hex(3),
                               random.Hex(3), random.Hex(12));
  s.metadata.generation = static_cast<int64_t>(tagged.size()) + 1;
  s.metadata.created = newest - 300 * 86'400;
  s.metadata.labels = {{"app", name.name}, {"app.kubernetes.io/managed-by", "pipelines"}};
  s.metadata.annotations = {{"openshift.io/display-name", name.name},
                            {"openshift.io/image.dockerRepositoryCheck", Rfc3339(newest)}};
  s.metadata.managed_fields = {
      {"pipelines", "Update", "", s.metadata.created,
       R"({"f:metadata":{"f:annotations":{".":{},"f:openshift.io/display-name":{}},"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:lookupPolicy":{"f:local":{}}}})"},
      {"openshift-apiserver", "Update", "status", newest,
       R"({"f:status":{"f:dockerImageRepository":{},"f:tags":{}}})"}};
  s.repository = repository;
  // The newest image is `latest`; the history is dealt out to the tags in stretches.
  const size_t tags =
      std::max<size_t>(1, std::min<size_t>(static_cast<size_t>(shape_.tags), tagged.size()));
  for (size_t t = 0; t < tags; ++t) {
    Tag tag;
    tag.name = t == 0 ? "latest" : fmt::format("v1.{}", tags - t);
    for (size_t i = tagged.size() * t / tags; i < tagged.size() * (t + 1) / tags; ++i) {
      tag.items.push_back({newest - static_cast<int64_t>(i) * 9'137 + 40,
                           repository + "@" + tagged[i], tagged[i],
                           static_cast<int64_t>(tagged.size() - i)});
    }
    s.tags.push_back(std::move(tag));
  }
  std::sort(s.tags.begin(), s.tags.end(),
            [](const Tag& a, const Tag& b) { return a.name < b.name; });
  TagSpec spec{
      .name = "latest", .from_kind = "", .from_name = "", .generation = s.metadata.generation};
  if (multi_arch) {
    spec.from_kind = "DockerImage";
    spec.from_name = fmt::format("quay.io/{}/{}:latest", name.ns, name.name);
    spec.scheduled = true;
    spec.import_mode = "PreserveOriginal";
  }
  s.spec_tags.push_back(std::move(spec));
  return out;
}

RecordSequence::RecordSequence(const RecordGenerator& generator, int64_t first, int64_t end,
                               std::string_view prefix)
    : generator_(generator),
      prefix_(prefix),
      stream_(first),
      end_(end < 0 ? generator.shape().streams : end) {}

bool RecordSequence::Next(Record& record) {
  if (!has_current_) {
    if (stream_ >= end_) return false;
    current_ = generator_.Generate(stream_++);
    next_image_ = 0;
    has_current_ = true;
  }
  if (next_image_ < current_.images.size()) {
    record = ToRecord(current_.images[next_image_++], prefix_);
  } else {
    record = ToRecord(current_.stream, prefix_);
    has_current_ = false;
  }
  return true;
}

}  // namespace strata::testing_support

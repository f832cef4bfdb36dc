#include "storage/tool/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "lib/base/string_map.h"
#include "lib/codec/json_writer.h"
#include "proto/image/image_v1.pb.h"
#include "storage/records/keys.h"
#include "storage/records/record.h"

namespace strata::tool {
namespace {

namespace v1 = ::github::com::openshift::api::image::v1;
constexpr size_t kPage = 500;
constexpr size_t kMaxProblems = 1000;

class Verifier {
 public:
  explicit Verifier(RecordStore& store) : store_(store) {}

  base::StatusOr<Verification> Run() {
    std::string from = store_.begin();
    for (;;) {
      STRATA_ASSIGN_OR_RETURN(const RecordStore::Page page,
                              store_.List(from, store_.end(), kPage, found_.revision));
      found_.revision = page.revision;
      for (const client::KeyValue& kv : page.entries) Take(kv);
      if (!page.more || page.entries.empty()) break;
      from = page.entries.back().key + '\0';
    }
    // Lists may come before what they list.
    for (const auto& [list, manifest] : listed_) {
      if (images_.contains(manifest)) continue;
      ++found_.missing_manifests;
      Report("MissingManifest", KeyOf(records::Kind::kImage, "", list), manifest);
    }
    return std::move(found_);
  }

 private:
  std::string KeyOf(records::Kind kind, const std::string& ns, const std::string& name) const {
    return store_.keys().KeyOf({kind, ns, name});
  }

  void Report(const char* what, std::string record, std::string details) {
    if (found_.problems.size() < kMaxProblems)
      found_.problems.push_back({what, std::move(record), std::move(details)});
  }

  void Take(const client::KeyValue& kv) {
    const auto id = store_.keys().Parse(kv.key);
    if (!id) {
      ++found_.other_keys;
      return;
    }
    const bool is_image = id->kind == records::Kind::kImage;
    Usage& usage = is_image ? found_.images : found_.namespaces[id->ns];
    ++(is_image ? usage.images : usage.streams);
    usage.bytes += static_cast<int64_t>(kv.value.size());
    // One that can't be read is there all the same.
    if (is_image) images_.insert(id->name);
    const records::Change record = records::Decode(*id, kv.value, kv.mod_revision);
    if (record.state != records::Change::State::kPresent) {
      ++found_.unreadable;
      return Report("Unreadable", kv.key, record.reason);
    }
    if (is_image) {
      TakeImage(*id, record.object);
    } else {
      TakeStream(kv.key, record.object, usage);
    }
  }

  void TakeImage(const records::Id& id, const std::string& object) {
    v1::Image image;
    if (!image.ParseFromString(object)) return;
    for (const auto& manifest : image.docker_image_manifests())
      listed_.emplace_back(id.name, manifest.digest());
  }

  // Images stand before streams.
  void TakeStream(const std::string& key, const std::string& object, Usage& usage) {
    v1::ImageStream stream;
    if (!stream.ParseFromString(object)) return;
    usage.tags += stream.status().tags_size();
    std::set<std::string> named;
    for (const auto& tag : stream.status().tags()) {
      for (const auto& item : tag.items()) {
        if (!item.image().empty()) named.insert(item.image());
      }
    }
    usage.images += static_cast<int64_t>(named.size());
    for (const std::string& name : named) {
      if (images_.contains(name)) continue;
      ++found_.missing_images;
      Report("MissingImage", key, name);
    }
  }

  RecordStore& store_;
  Verification found_;
  base::StringSet images_;
  std::vector<std::pair<std::string, std::string>> listed_;  // a list, and one of its manifests
};

template <codec::JsonName kName>
void Add(int64_t number, codec::JsonWriter& json) {
  json.Name<kName>();
  json.Number(number);
}

template <codec::JsonName kName>
void Add(std::string_view text, codec::JsonWriter& json) {
  json.Name<kName>();
  json.String(text);
}

// Behind its bracket.
void WriteUsage(const Usage& usage, codec::JsonWriter& json) {
  Add<"streams">(usage.streams, json);
  Add<"tags">(usage.tags, json);
  Add<"images">(usage.images, json);
  Add<"bytes">(usage.bytes, json);
  json.CloseObject();
}

}  // namespace

base::StatusOr<Verification> Verify(RecordStore& store) {
  return Verifier(store).Run();
}

std::string AsTable(const Verification& found) {
  size_t width = std::string_view("NAMESPACE").size();
  for (const auto& [ns, usage] : found.namespaces) width = std::max(width, ns.size());
  std::string out = fmt::format("{:<{}}   {:>8}   {:>8}   {:>9}   {:>13}\n", "NAMESPACE", width,
                                "STREAMS", "TAGS", "IMAGES", "BYTES");
  const auto row = [&](std::string_view name, const Usage& usage) {
    out += fmt::format("{:<{}}   {:>8}   {:>8}   {:>9}   {:>13}\n", name, width, usage.streams,
                       usage.tags, usage.images, usage.bytes);
  };
  for (const auto& [ns, usage] : found.namespaces) row(ns, usage);
  out += fmt::format("{:<{}}   {:>8}   {:>8}   {:>9}   {:>13}\n", "(images)", width, "", "",
                     found.images.images, found.images.bytes);
  if (!found.problems.empty()) out += '\n';
  for (const Problem& problem : found.problems)
    out += fmt::format("{}: {}: {}\n", problem.what, problem.record, problem.details);
  out += fmt::format(
      "\n{} unreadable, {} missing images, {} missing manifests, {} other keys, as of revision "
      "{}\n",
      found.unreadable, found.missing_images, found.missing_manifests, found.other_keys,
      found.revision);
  return out;
}

std::string AsJson(const Verification& found) {
  std::string out;
  codec::JsonWriter json(out);
  json.OpenObject();
  Add<"revision">(found.revision, json);
  Add<"unreadable">(found.unreadable, json);
  Add<"missingImages">(found.missing_images, json);
  Add<"missingManifests">(found.missing_manifests, json);
  Add<"otherKeys">(found.other_keys, json);
  json.OpenObject<"images">();
  WriteUsage(found.images, json);
  json.OpenObject<"namespaces">();
  for (const auto& [ns, usage] : found.namespaces) {
    json.Name(ns);
    json.OpenObject();
    WriteUsage(usage, json);
  }
  json.CloseObject();
  json.OpenList<"problems">();
  for (const Problem& problem : found.problems) {
    json.OpenObject();
    Add<"what">(problem.what, json);
    Add<"record">(problem.record, json);
    Add<"details">(problem.details, json);
    json.CloseObject();
  }
  json.CloseList();
  json.CloseObject();
  out += '\n';
  return out;
}

}  // namespace strata::tool

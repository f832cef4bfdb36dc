// The vocabulary of this folder's tests: records as their stored protobuf, in one line each.
#pragma once

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "lib/codec/encode_protobuf.h"
#include "proto/image/image_v1.pb.h"
#include "server/layers/index.h"
#include "server/layers/record.h"

namespace strata::layers {

namespace image_v1 = ::github::com::openshift::api::image::v1;

inline std::string ImageBytes(const std::vector<std::string>& layers,
                              const std::string& config = "sha256:config",
                              const std::string& media_type = std::string(kDockerManifest)) {
  image_v1::Image image;
  image.set_docker_image_manifest_media_type(media_type);
  image.mutable_docker_image_metadata()->set_raw(R"({"kind":"DockerImage","Id":")" + config +
                                                 "\"}\n");
  for (const std::string& name : layers) {
    auto* layer = image.add_docker_image_layers();
    layer->set_name(name);
    layer->set_size(10);
    layer->set_media_type("layer");
  }
  return codec::EncodeProtobuf(image);
}

inline std::string ListBytes(const std::vector<std::string>& manifests) {
  image_v1::Image image;
  image.set_docker_image_manifest_media_type("application/vnd.oci.image.index.v1+json");
  for (const std::string& digest : manifests)
    image.add_docker_image_manifests()->set_digest(digest);
  return codec::EncodeProtobuf(image);
}

// A tag and its images, the newest first.
using TagImages = std::pair<std::string, std::vector<std::string>>;

inline std::string TaggedBytes(const std::string& name, const std::vector<TagImages>& tags) {
  image_v1::ImageStream stream;
  stream.mutable_metadata()->set_name(name);
  for (const auto& [tag_name, images] : tags) {
    auto* tag = stream.mutable_status()->add_tags();
    tag->set_tag(tag_name);
    for (const std::string& image : images) tag->add_items()->set_image(image);
  }
  return codec::EncodeProtobuf(stream);
}

inline std::string StreamBytes(const std::string& name, const std::vector<std::string>& images) {
  return TaggedBytes(name, {{"latest", images}});
}

// Changes that own what they point at.
class Changes {
 public:
  Changes& Image(std::string name, std::string bytes) {
    return Add(Change::Kind::kImage, "", name, bytes);
  }
  // "ns/name"; without a slash in the namespace `ns`.
  Changes& Stream(std::string name, std::string bytes) {
    const size_t slash = name.find('/');
    if (slash == name.npos) return Add(Change::Kind::kImageStream, "ns", name, bytes);
    return Add(Change::Kind::kImageStream, name.substr(0, slash), name.substr(slash + 1), bytes);
  }
  Changes& Delete(Change::Kind kind, std::string name) {
    Add(kind, kind == Change::Kind::kImage ? "" : "ns", name, "");
    changes_.back().state = Change::State::kDeleted;
    return *this;
  }
  Changes& Unreadable(Change::Kind kind, std::string name, std::string reason) {
    Add(kind, kind == Change::Kind::kImage ? "" : "ns", name, reason);
    changes_.back().state = Change::State::kUnreadable;
    changes_.back().reason = changes_.back().object;
    return *this;
  }
  // The same at this one's revision.
  Changes& Add(const Change& change) {
    Add(change.kind, std::string(change.ns), std::string(change.name), std::string(change.object));
    changes_.back().state = change.state;
    if (change.state == Change::State::kUnreadable) changes_.back().reason = changes_.back().object;
    return *this;
  }
  Changes& At(base::Revision revision) {
    revision_ = revision;
    return *this;
  }
  std::span<const Change> all() const { return changes_; }

 private:
  Changes& Add(Change::Kind kind, const std::string& ns, const std::string& name,
               const std::string& object) {
    const auto keep = [this](const std::string& text) -> std::string_view {
      return text_.emplace_back(text);
    };
    changes_.push_back(
        {kind, Change::State::kPresent, keep(ns), keep(name), revision_, keep(object), {}});
    return *this;
  }

  base::Revision revision_ = 7;
  std::deque<std::string> text_;
  std::vector<Change> changes_;
};

// The body of ns/`name`, from the cache or built, or the result's word in angle brackets.
inline std::string BodyOf(Index& index, std::string_view name, const Form& form = {}) {
  const Lookup lookup = index.Find("ns", name, form);
  switch (lookup.result) {
    case Lookup::Result::kAnswer:
      return lookup.answer->body;
    case Lookup::Result::kNotFound:
      return "<not found>";
    case Lookup::Result::kUnreadable:
      return "<unreadable: " + lookup.reason + ">";
    case Lookup::Result::kSmall:
    case Lookup::Result::kLarge:
      break;
  }
  Assembly assembly("ns", name, form);
  const auto built = lookup.result == Lookup::Result::kSmall ? index.Build(lookup.gathered, form)
                                                             : index.Make(assembly, {});
  if (!built.ok() && built.status().code() == base::StatusCode::kNotFound) return "<not found>";
  if (!built.ok() && built.status().code() == base::StatusCode::kDataLoss)
    return "<unreadable: " + std::string(base::Message(built.status())) + ">";
  return built.ok() ? (*built)->body : std::string(base::Message(built.status()));
}

inline std::vector<std::string> WarningsOf(Index& index, std::string_view name) {
  BodyOf(index, name);
  return index.Find("ns", name, {}).answer->warnings;
}

}  // namespace strata::layers

#include "server/kube_source/object_record.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "lib/base/bytes.h"
#include "lib/codec/field_reader.h"
#include "lib/image/object_name.h"
#include "server/kube/api.h"

namespace strata::kube_source {
namespace {

using codec::FieldReader;

constexpr size_t kMostNameBytes = 1024;

struct Metadata {
  std::string_view name, ns, resource_version;
};

base::StatusOr<Metadata> MetadataOf(std::string_view object) {
  Metadata found;
  FieldReader reader(object);
  while (reader.Next()) {
    if (reader.number() != 1) continue;
    FieldReader metadata(reader.bytes());
    while (metadata.Next()) {
      if (metadata.number() == 1) found.name = metadata.bytes();
      if (metadata.number() == 3) found.ns = metadata.bytes();
      if (metadata.number() == 6) found.resource_version = metadata.bytes();
    }
    if (!metadata.ok()) return base::DataLossError("its metadata is malformed");
  }
  if (!reader.ok()) return base::DataLossError("it is malformed");
  return found;
}

bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= kMostNameBytes && image::IsPathSegment(name);
}

}  // namespace

bool CanExist(const records::Id& id) {
  const bool namespaced = id.kind == records::Kind::kImageStream;
  return IsName(id.name) && (namespaced ? IsName(id.ns) : id.ns.empty());
}

base::StatusOr<base::Revision> RevisionOf(std::string_view text) {
  base::Revision revision = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), revision);
  if (error != std::errc() || end != text.data() + text.size() || revision <= 0) {
    return base::DataLossError(
        fmt::format("its resourceVersion is \"{}\"", base::Printable(text, 40)));
  }
  return revision;
}

base::StatusOr<records::Change> RecordOf(records::Kind kind, std::string object) {
  STRATA_ASSIGN_OR_RETURN(const Metadata metadata, MetadataOf(object));
  records::Change change{.id = {kind, std::string(metadata.ns), std::string(metadata.name)}};
  if (!CanExist(change.id)) {
    return base::DataLossError(fmt::format("its name is \"{}\", its namespace \"{}\"",
                                           base::Printable(metadata.name, 80),
                                           base::Printable(metadata.ns, 80)));
  }
  STRATA_ASSIGN_OR_RETURN(change.revision, RevisionOf(metadata.resource_version));
  change.object = std::move(object);
  return change;
}

std::string KeyOf(const records::Id& id) {
  return id.ns + "/" + id.name;
}

std::string PathOf(records::Kind kind) {
  return fmt::format("/apis/{}/{}", records::kApiVersion, records::NamesOf(kind).resource);
}

std::string PathOf(const records::Id& id) {
  const std::string name = kube::EscapeForUrl(id.name);
  if (id.kind == records::Kind::kImage) return fmt::format("{}/{}", PathOf(id.kind), name);
  return fmt::format("/apis/{}/namespaces/{}/{}/{}", records::kApiVersion,
                     kube::EscapeForUrl(id.ns), records::NamesOf(id.kind).resource, name);
}

}  // namespace strata::kube_source

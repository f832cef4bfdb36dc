// Which form an answer takes, from the request's Accept, User-Agent and `pretty`
// (k8s.io/apiserver pkg/endpoints/handlers/negotiation, github.com/munnerz/goautoneg, and
// go-restful's matchesAccept).
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace strata::wire {

enum class MediaType { kJson, kYaml, kProtobuf };

// What of the object is sent: `as=` in an Accept clause.
enum class Transform {
  kNone,
  kPartialObjectMetadata,
  kPartialObjectMetadataList,
  kTable,           // of an object or a list, as JSON or YAML
  kGroupDiscovery,  // of /apis: all groups with their resources in one document
};

struct Representation {
  MediaType type = MediaType::kJson;
  bool pretty = false;  // of JSON alone
  Transform transform = Transform::kNone;
  bool beta = false;  // the transform's version is v1beta1, or v2beta1 of the group discovery

  friend bool operator==(const Representation&, const Representation&) = default;
};

// What a request says of the form it wants. Views into the request.
struct Preference {
  std::string_view accept;  // the first Accept header; empty if none
  std::string_view user_agent;
  std::optional<std::string_view> pretty;  // the query's first `pretty`; an empty one says nothing
};

// One that an endpoint offers, as a clause asks for it: `as=kind;g=group;v=version`.
struct Conversion {
  std::string_view kind, group, version;
  Transform transform;
  bool text_only = false;  // there is no protobuf of it
};

// PartialObjectMetadata and its list, in both versions of meta.k8s.io: what any object can be
// reduced to.
std::span<const Conversion> MetadataConversions();
// And Table.
std::span<const Conversion> TableConversions();

enum class Refusal {
  kNone,
  kMediaType,   // no clause names a media type that is served: go-restful's 406
  kConversion,  // clauses name them, but ask for conversions that there aren't: the negotiation's
                // 406
};

struct Negotiation {
  Refusal refusal = Refusal::kNone;
  Representation representation;  // meaningless when refused
};

// Of an object of the API. By default it can be reduced to its metadata, and has no table.
Negotiation Negotiate(const Preference& preference,
                      std::span<const Conversion> offered = MetadataConversions());

// Of a Status or another plain object. Nothing: the client accepts none of ours; an error is then
// sent as indented JSON.
std::optional<Representation> NegotiatePlain(const Preference& preference);

// Of /apis: the plain list of groups, or kGroupDiscovery. Nothing: the client accepts none of ours.
std::optional<Representation> NegotiateGroups(const Preference& preference);

// `application/json` and so on: what goes into Content-Type.
std::string_view ContentType(MediaType type);

}  // namespace strata::wire

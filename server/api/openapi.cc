#include "server/api/openapi.h"

#include <absl/strings/ascii.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <map>
#include <utility>

#include "lib/base/ascii.h"
#include "lib/base/build_info.h"
#include "proto/k8s/meta_v1.pb.h"
#include "server/api/digest.h"
#include "server/api/openapi_schema.h"

namespace strata::api {
namespace {

namespace meta = ::k8s::io::apimachinery::pkg::apis::meta::v1;
constexpr std::string_view kV2 = "/openapi/v2";
constexpr std::string_view kV3 = "/openapi/v3";
constexpr const char* kJson = "application/json";
constexpr int kYear = 365 * 24 * 3600;

// An operation, in the words of k8s.io/apiserver pkg/endpoints/installer.go.
struct Operation {
  std::string description;
  std::string id;
  std::string tag;
  const google::protobuf::Descriptor* answer;
  const registry::Resource* resource;  // null: of the group; it has no action and no kind
};

std::string Capitalized(std::string_view word) {
  std::string text(word);
  if (!text.empty()) text[0] = absl::ascii_toupper(static_cast<unsigned char>(text[0]));
  return text;
}

// "imageOpenshiftIo" of "image.openshift.io".
std::string CamelCase(std::string_view group) {
  std::string camel;
  for (size_t dot = 0; dot != group.npos; group.remove_prefix(std::min(dot + 1, group.size()))) {
    dot = group.find('.');
    const std::string_view word = group.substr(0, dot);
    camel += camel.empty() ? std::string(word) : Capitalized(word);
  }
  return camel;
}

std::string TagOf(const registry::Group& group) {
  return CamelCase(group.name()) + "_" + group.version();
}

// The part of an operation's id that says of what: "ImageOpenshiftIoV1".
std::string IdOf(const registry::Group& group) {
  return Capitalized(CamelCase(group.name())) + Capitalized(group.version());
}

Operation Read(const registry::Resource& resource) {
  const registry::Group& group = *resource.group;
  const std::string_view part = resource.subresource();
  const std::string& of = part.empty() ? resource.kind : group.Find(resource.parent())->kind;
  return {
      fmt::format("read {}the specified {}", part.empty() ? "" : fmt::format("{} of ", part), of),
      fmt::format("read{}{}{}{}", IdOf(group), resource.namespaced ? "Namespaced" : "", of,
                  Capitalized(part)),
      TagOf(group), resource.type, &resource};
}

Operation ListResources(const registry::Group& group) {
  return {"get available resources", fmt::format("get{}APIResources", IdOf(group)), TagOf(group),
          meta::APIResourceList::descriptor(), nullptr};
}

std::string Info(const registry::Groups& groups) {
  std::string title = "Strata: ";
  for (const registry::Group* group : groups)
    title += (group == groups.front() ? "" : ", ") + group->name();
  return JsonObject({{"title", JsonString(title)}, {"version", JsonString(base::Build().version)}});
}

std::string KindOf(const Operation& operation) {
  if (operation.resource == nullptr) return "";
  return JsonObject({{"group", JsonString(operation.resource->group->name())},
                     {"version", JsonString(operation.resource->group->version())},
                     {"kind", JsonString(operation.resource->kind)}});
}

std::string ActionOf(const Operation& operation) {
  return operation.resource == nullptr ? "" : JsonString("get");
}

std::string TagsOf(const Operation& operation) {
  return "[" + JsonString(operation.tag) + "]";
}

std::string Responses(const std::string& ok) {
  return JsonObject({{"200", ok}, {"401", R"({"description":"Unauthorized"})"}});
}

std::string Parameter(const char* name, const char* in, const char* description, bool v3) {
  const std::string required = std::string_view(in) == "path" ? "true" : "";
  if (!v3) {
    return JsonObject({{"uniqueItems", "true"},
                       {"type", R"("string")"},
                       {"description", JsonString(description)},
                       {"name", JsonString(name)},
                       {"in", JsonString(in)},
                       {"required", required}});
  }
  return JsonObject({{"name", JsonString(name)},
                     {"in", JsonString(in)},
                     {"description", JsonString(description)},
                     {"required", required},
                     {"schema", R"({"type":"string","uniqueItems":true})"}});
}

std::string Parameters(const Operation& operation, bool v3) {
  const std::string name = "name of the " + operation.resource->kind;
  const std::string ns =
      operation.resource->namespaced
          ? Parameter("namespace", "path",
                      "object name and auth scope, such as for teams and projects", v3) +
                ","
          : "";
  return "[" + Parameter("name", "path", name.c_str(), v3) + "," + ns +
         Parameter("pretty", "query",
                   "If 'true', then the output is pretty printed. Defaults to 'false' unless the "
                   "user-agent indicates a browser or command-line HTTP tool (curl and wget).",
                   v3) +
         "]";
}

std::string OperationV3(const Operation& operation, const SchemaSet& schemas) {
  const std::string content =
      JsonObject({{"schema", "{" + schemas.Reference(operation.answer) + "}"}});
  const std::string ok =
      JsonObject({{"description", R"("OK")"},
                  {"content", JsonObject({{"application/json", content},
                                          {"application/vnd.kubernetes.protobuf", content},
                                          {"application/yaml", content}})}});
  return JsonObject({{"tags", TagsOf(operation)},
                     {"description", JsonString(operation.description)},
                     {"operationId", JsonString(operation.id)},
                     {"responses", Responses(ok)},
                     {"x-kubernetes-action", ActionOf(operation)},
                     {"x-kubernetes-group-version-kind", KindOf(operation)}});
}

std::string OperationV2(const Operation& operation, const SchemaSet& schemas) {
  const char* kForms =
      R"(["application/json","application/yaml","application/vnd.kubernetes.protobuf"])";
  const std::string ok = JsonObject(
      {{"description", R"("OK")"}, {"schema", "{" + schemas.Reference(operation.answer) + "}"}});
  return JsonObject({{"description", JsonString(operation.description)},
                     {"consumes", R"(["*/*"])"},
                     {"produces", kForms},
                     {"schemes", R"(["https"])"},
                     {"tags", TagsOf(operation)},
                     {"operationId", JsonString(operation.id)},
                     {"responses", Responses(ok)},
                     {"x-kubernetes-action", ActionOf(operation)},
                     {"x-kubernetes-group-version-kind", KindOf(operation)}});
}

std::string SecurityScheme() {
  return JsonObject(
      {{"BearerToken", R"({"type":"apiKey","description":"Bearer Token authentication",)"
                       R"("name":"authorization","in":"header"})"}});
}

// Paths and schemas of one group.
void AddGroup(const registry::Group& group, bool v3, SchemaSet& schemas,
              std::map<std::string, std::string>& paths) {
  const auto operation = [&](const Operation& one) {
    return v3 ? OperationV3(one, schemas) : OperationV2(one, schemas);
  };
  const Operation list = ListResources(group);
  schemas.Add(list.answer, "", "v1", list.answer->name());
  for (const registry::Resource& resource : group.resources()) {
    if (resource.type != nullptr)
      schemas.Add(resource.type, group.name(), group.version(), resource.kind);
  }
  paths["/apis/" + group.group_version() + "/"] = JsonObject({{"get", operation(list)}});
  for (const registry::Resource& resource : group.resources()) {
    if (resource.type == nullptr || !resource.serves("get")) continue;
    const Operation read = Read(resource);
    paths[registry::PathOf(resource, registry::Scope::kObject)] =
        JsonObject({{"get", operation(read)}, {"parameters", Parameters(read, v3)}});
  }
}

std::string DocumentOf(const registry::Groups& groups, SchemaSet::Version version) {
  const bool v3 = version == SchemaSet::Version::kV3;
  SchemaSet schemas(version);
  std::map<std::string, std::string> by_path;
  for (const registry::Group* group : groups) AddGroup(*group, v3, schemas, by_path);
  const std::string paths = JsonObject(JsonMembers(by_path.begin(), by_path.end()));
  if (!v3) {
    return JsonObject({{"swagger", R"("2.0")"},
                       {"info", Info(groups)},
                       {"paths", paths},
                       {"definitions", schemas.Json()},
                       {"securityDefinitions", SecurityScheme()}});
  }
  return JsonObject({{"openapi", R"("3.0.0")"},
                     {"info", Info(groups)},
                     {"paths", paths},
                     {"components", JsonObject({{"schemas", schemas.Json()},
                                                {"securitySchemes", SecurityScheme()}})}});
}

// Calls `part` with each part of a list with commas, until it says that this is enough.
template <typename Part>
bool AnyOf(std::string_view list, Part part) {
  for (;;) {
    const size_t comma = list.find(',');
    if (part(base::Trim(list.substr(0, comma), " \t"))) return true;
    if (comma == std::string_view::npos) return false;
    list.remove_prefix(comma + 1);
  }
}

// RFC 9110 §13.1.2: weakly compared.
bool Matches(std::string_view if_none_match, std::string_view etag) {
  return AnyOf(if_none_match, [&](std::string_view tag) {
    if (tag.starts_with("W/")) tag.remove_prefix(2);
    return tag == etag || tag == "*";
  });
}

// Only JSON is made: the one that kube-aggregator and kubectl ask for.
bool TakesJson(std::string_view accept) {
  return AnyOf(accept, [](std::string_view clause) {
    const std::string_view type = base::Trim(clause.substr(0, clause.find(';')), " \t");
    return type.empty() || type == kJson || type == "application/*" || type == "*/*";
  });
}

// RFC 9110 §5.6.7, a year from now.
std::string NextYear() {
  const std::time_t then = std::time(nullptr) + kYear;
  std::tm utc{};
  gmtime_r(&then, &utc);
  char text[64];
  return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc)};
}

}  // namespace

void OpenApi::Add(std::string path, std::string body) {
  std::string hash = Sha512Hex(body);
  documents_.push_back(
      {std::move(path), std::make_shared<const std::string>(std::move(body)), std::move(hash)});
}

OpenApi::OpenApi(const registry::Groups& groups) {
  Add(std::string(kV2), DocumentOf(groups, SchemaSet::Version::kV2));
  // Our own groups alone: kube-aggregator merges the keys of all servers without asking whose they
  // are (openapiv3/aggregator).
  std::string root;
  for (const registry::Group* group : groups) {
    const std::string path = fmt::format("{}/apis/{}", kV3, group->group_version());
    Add(path, DocumentOf({group}, SchemaSet::Version::kV3));
    root +=
        fmt::format(R"({}"apis/{}":{{"serverRelativeURL":"{}?hash={}"}})", root.empty() ? "" : ",",
                    group->group_version(), path, documents_.back().hash);
  }
  Add(std::string(kV3), R"({"paths":{)" + root + "}}");
  documents_.back().is_root = true;
}

std::vector<std::string_view> OpenApi::Paths() const {
  std::vector<std::string_view> paths;
  for (const Document& document : documents_) paths.push_back(document.path);
  return paths;
}

http::Response OpenApi::Answer(std::string_view path, const Asked& asked) const {
  const auto found = std::find_if(documents_.begin(), documents_.end(),
                                  [&](const Document& one) { return one.path == path; });
  http::Response response;
  if (!found->is_root && !TakesJson(asked.accept)) {
    response.status = 406;
    return response;
  }
  const std::string etag = '"' + found->hash + '"';
  // A hash that isn't ours is another replica's or an older one's: what there is now is sent.
  // Upstream redirects, which kube-aggregator turns into 502.
  const bool named = !asked.hash.empty() && asked.hash == found->hash;
  response.headers.Add("cache-control", named ? "public, immutable" : "no-cache, private");
  if (named) response.headers.Add("expires", NextYear());
  if (found->is_root) {
    response.headers.Add("content-type", "text/plain; charset=utf-8");
    response.body = found->body;
    return response;
  }
  response.headers.Add("etag", etag);
  if (found->path == kV2) response.headers.Add("vary", "Accept-Encoding");
  response.headers.Add("vary", "Accept");
  if (Matches(asked.if_none_match, etag)) {
    response.status = 304;
    return response;
  }
  response.headers.Add("content-type", kJson);
  response.body = found->body;
  return response;
}

}  // namespace strata::api

#include "server/api/openapi_paths.h"

#include <absl/strings/ascii.h>
#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/codec/plan.h"
#include "proto/k8s/meta_v1.pb.h"

namespace strata::api {
namespace {

namespace meta = ::k8s::io::apimachinery::pkg::apis::meta::v1;
using google::protobuf::FieldDescriptor;
using registry::Scope;

// The last two are streams of events, of what may be watched at its path.
constexpr std::string_view kForms[] = {
    "application/json", "application/yaml", "application/vnd.kubernetes.protobuf",
    "application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch"};

struct Operation {
  std::string action;  // empty: the group's own, which has no kind either
  std::string description;
  std::string id;
  const google::protobuf::Descriptor* answer;
  const registry::Resource* resource = nullptr;
  Scope scope = Scope::kObject;
  bool has_list_options = false;
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

// The part of an operation's id that says of what: "ImageOpenshiftIoV1".
std::string IdOf(const registry::Group& group) {
  return Capitalized(CamelCase(group.name())) + Capitalized(group.version());
}

// And of which objects: "ImageOpenshiftIoV1NamespacedImageStream…", "…ForAllNamespaces".
std::string IdOf(const registry::Resource& resource, Scope scope, std::string_view suffix = {}) {
  const bool everywhere = resource.namespaced && scope == Scope::kCluster;
  const std::string_view part = resource.subresource();
  const std::string& kind =
      part.empty() ? resource.kind : resource.group->Find(resource.parent())->kind;
  return fmt::format("{}{}{}{}{}{}", IdOf(*resource.group),
                     resource.namespaced && !everywhere ? "Namespaced" : "", kind,
                     Capitalized(part), suffix, everywhere ? "ForAllNamespaces" : "");
}

Operation GetOf(const registry::Resource& resource) {
  const std::string_view part = resource.subresource();
  const std::string& of =
      part.empty() ? resource.kind : resource.group->Find(resource.parent())->kind;
  return {
      "get",
      fmt::format("read {}the specified {}", part.empty() ? "" : fmt::format("{} of ", part), of),
      "read" + IdOf(resource, Scope::kObject), resource.type, &resource, Scope::kObject,
      // What is answered with a list names them there, and refuses them all the same.
      resource.kind == resource.list_kind};
}

Operation ListOf(const registry::Resource& resource, Scope scope) {
  return {"list",
          fmt::format("list {}objects of kind {}", resource.serves("watch") ? "or watch " : "",
                      resource.kind),
          "list" + IdOf(resource, scope),
          resource.list_type,
          &resource,
          scope,
          true};
}

Operation WatchListOf(const registry::Resource& resource, Scope scope) {
  return {"watchlist",
          fmt::format("watch individual changes to a list of {}. deprecated: use the 'watch' "
                      "parameter with a list operation instead.",
                      resource.kind),
          "watch" + IdOf(resource, scope, "List"),
          meta::WatchEvent::descriptor(),
          &resource,
          scope,
          true};
}

Operation WatchOf(const registry::Resource& resource) {
  return {
      "watch",
      fmt::format("watch changes to an object of kind {}. deprecated: use the 'watch' parameter "
                  "with a list operation instead, filtered to a single item with the "
                  "'fieldSelector' parameter.",
                  resource.kind),
      "watch" + IdOf(resource, Scope::kObject),
      meta::WatchEvent::descriptor(),
      &resource,
      Scope::kObject,
      true};
}

Operation ResourcesOf(const registry::Group& group) {
  return {"", "get available resources", fmt::format("get{}APIResources", IdOf(group)),
          meta::APIResourceList::descriptor()};
}

struct Parameter {
  std::string name;
  std::string in;  // "path" or "query"
  std::string description;
  std::string type = "string";
};

std::string TypeOf(const FieldDescriptor* option) {
  switch (option->cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return "boolean";
    case FieldDescriptor::CPPTYPE_INT64:
      return "integer";
    default:
      return "string";
  }
}

// In the order of their names.
std::vector<Parameter> ParametersOf(const Operation& operation, const SchemaSet& schemas) {
  std::vector<Parameter> parameters = {
      {"pretty", "query",
       "If 'true', then the output is pretty printed. Defaults to 'false' unless the user-agent "
       "indicates a browser or command-line HTTP tool (curl and wget)."}};
  if (operation.scope == Scope::kObject)
    parameters.push_back({"name", "path", "name of the " + operation.resource->kind});
  if (operation.resource->namespaced && operation.scope != Scope::kCluster) {
    parameters.push_back(
        {"namespace", "path", "object name and auth scope, such as for teams and projects"});
  }
  if (operation.has_list_options) {
    for (const codec::FieldPlan& option : codec::PlanOf(meta::ListOptions::descriptor()).json) {
      parameters.push_back({std::string(option.name), "query",
                            schemas.Description(option.field->full_name()), TypeOf(option.field)});
    }
  }
  std::sort(parameters.begin(), parameters.end(),
            [](const Parameter& a, const Parameter& b) { return a.name < b.name; });
  return parameters;
}

std::string JsonOf(const Parameter& parameter, bool v3) {
  const std::string required = parameter.in == "path" ? "true" : "";
  if (v3) {
    return JsonObject(
        {{"name", JsonString(parameter.name)},
         {"in", JsonString(parameter.in)},
         {"description", JsonString(parameter.description)},
         {"required", required},
         {"schema", JsonObject({{"type", JsonString(parameter.type)}, {"uniqueItems", "true"}})}});
  }
  return JsonObject({{"uniqueItems", "true"},
                     {"type", JsonString(parameter.type)},
                     {"description", JsonString(parameter.description)},
                     {"name", JsonString(parameter.name)},
                     {"in", JsonString(parameter.in)},
                     {"required", required}});
}

// Of a list, JSON values.
template <typename List, typename Json>
std::string JsonList(const List& list, Json json) {
  std::string text = "[";
  for (const auto& one : list) text += (text.size() > 1 ? "," : "") + json(one);
  return text + "]";
}

std::span<const std::string_view> FormsOf(const Operation& operation) {
  const bool of_list = operation.has_list_options && operation.action != "get";
  return std::span(kForms).first(of_list ? 5 : 3);
}

std::string ResponsesOf(const Operation& operation, const SchemaSet& schemas, bool v3) {
  const std::string schema = "{" + schemas.Reference(operation.answer) + "}";
  JsonMembers content;
  for (const std::string_view form : FormsOf(operation))
    content.emplace_back(form, JsonObject({{"schema", schema}}));
  const std::string ok = JsonObject({{"description", R"("OK")"},
                                     {"content", v3 ? JsonObject(content) : ""},
                                     {"schema", v3 ? "" : schema}});
  return JsonObject({{"200", ok}, {"401", R"({"description":"Unauthorized"})"}});
}

std::string JsonOf(const Operation& operation, const registry::Group& group,
                   const SchemaSet& schemas, bool v3) {
  const std::string tag = JsonString(CamelCase(group.name()) + "_" + group.version());
  const std::string forms = JsonList(FormsOf(operation), JsonString);
  std::string action, kind, consumes = forms;
  if (operation.resource != nullptr) {
    action = JsonString(operation.action);
    consumes = R"(["*/*"])";
    kind = JsonObject({{"group", JsonString(group.name())},
                       {"version", JsonString(group.version())},
                       {"kind", JsonString(operation.resource->kind)}});
  }
  return JsonObject({{"tags", "[" + tag + "]"},
                     {"description", JsonString(operation.description)},
                     {"consumes", v3 ? "" : consumes},
                     {"produces", v3 ? "" : forms},
                     {"schemes", v3 ? "" : R"(["https"])"},
                     {"operationId", JsonString(operation.id)},
                     {"responses", ResponsesOf(operation, schemas, v3)},
                     {"x-kubernetes-action", action},
                     {"x-kubernetes-group-version-kind", kind}});
}

// What may be asked of a resource, each at a path of its own.
std::vector<Operation> OperationsOf(const registry::Resource& resource) {
  std::vector<Operation> operations;
  if (resource.type != nullptr && resource.serves("get")) operations.push_back(GetOf(resource));
  if (resource.list_type == nullptr) return operations;
  std::vector<Scope> scopes = {Scope::kCluster};
  if (resource.namespaced) scopes.push_back(Scope::kNamespace);
  for (const Scope scope : scopes) {
    if (resource.serves("list")) operations.push_back(ListOf(resource, scope));
    if (resource.serves("watch")) operations.push_back(WatchListOf(resource, scope));
  }
  if (resource.serves("watch")) operations.push_back(WatchOf(resource));
  return operations;
}

// Objects before their lists and whatever else refers to them: only here their kind is known.
void AddSchemas(const registry::Group& group, SchemaSet& schemas) {
  for (const registry::Resource& one : group.resources())
    if (one.type != nullptr) schemas.Add(one.type, group.name(), group.version(), one.kind);
  for (const registry::Resource& one : group.resources()) {
    if (one.list_type != nullptr && one.serves("list"))
      schemas.Add(one.list_type, group.name(), group.version(), one.list_kind);
    if (one.serves("watch")) schemas.Add(meta::WatchEvent::descriptor());
  }
}

}  // namespace

void AddPaths(const registry::Group& group, SchemaSet& schemas,
              std::map<std::string, std::string>& paths) {
  const bool v3 = schemas.version() == SchemaSet::Version::kV3;
  const Operation resources = ResourcesOf(group);
  schemas.Add(resources.answer, "", "v1", resources.answer->name());
  AddSchemas(group, schemas);
  paths["/apis/" + group.group_version() + "/"] =
      JsonObject({{"get", JsonOf(resources, group, schemas, v3)}});
  for (const registry::Resource& resource : group.resources()) {
    for (const Operation& operation : OperationsOf(resource)) {
      const bool watch = operation.action.starts_with("watch");
      paths[registry::PathOf(resource, operation.scope, watch)] = JsonObject(
          {{"get", JsonOf(operation, group, schemas, v3)},
           {"parameters", JsonList(ParametersOf(operation, schemas),
                                   [&](const Parameter& one) { return JsonOf(one, v3); })}});
    }
  }
}

}  // namespace strata::api

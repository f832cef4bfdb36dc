#include "server/api/openapi.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "base/build_info.h"
#include "proto/image/image_v1.pb.h"
#include "proto/k8s/meta_v1.pb.h"
#include "server/api/digest.h"
#include "server/api/openapi_schema.h"

namespace strata::api {
namespace {

namespace meta = ::k8s::io::apimachinery::pkg::apis::meta::v1;
using ::github::com::openshift::api::image::v1::ImageStream;
using ::github::com::openshift::api::image::v1::ImageStreamLayers;

constexpr std::string_view kV2 = "/openapi/v2";
constexpr std::string_view kV3 = "/openapi/v3";
constexpr std::string_view kGroup = "/openapi/v3/apis/image.openshift.io/v1";
constexpr const char* kRoot = "/apis/image.openshift.io/v1/";
constexpr const char* kImageStream =
    "/apis/image.openshift.io/v1/namespaces/{namespace}/imagestreams/{name}";
constexpr const char* kLayers =
    "/apis/image.openshift.io/v1/namespaces/{namespace}/imagestreams/{name}/layers";
constexpr const char* kJson = "application/json";
constexpr int kYear = 365 * 24 * 3600;

// An operation, in the words of k8s.io/apiserver pkg/endpoints/installer.go.
struct Operation {
  const char* description;
  const char* id;
  const google::protobuf::Descriptor* answer;
  const char* action;  // empty: none, and no kind
};

const Operation& ReadImageStream() {
  static const Operation operation{"read the specified ImageStream",
                                   "readImageOpenshiftIoV1NamespacedImageStream",
                                   ImageStream::descriptor(), "get"};
  return operation;
}

const Operation& ReadLayers() {
  static const Operation operation{"read layers of the specified ImageStream",
                                   "readImageOpenshiftIoV1NamespacedImageStreamLayers",
                                   ImageStreamLayers::descriptor(), "get"};
  return operation;
}

const Operation& ListResources() {
  static const Operation operation{"get available resources", "getImageOpenshiftIoV1APIResources",
                                   meta::APIResourceList::descriptor(), ""};
  return operation;
}

std::string Info() {
  return JsonObject({{"title", JsonString("Strata: image.openshift.io")},
                     {"version", JsonString(base::Build().version)}});
}

std::string KindOf(const Operation& operation) {
  if (*operation.action == '\0') return "";
  return JsonObject({{"group", JsonString("image.openshift.io")},
                     {"version", JsonString("v1")},
                     {"kind", JsonString(operation.answer->name())}});
}

std::string ActionOf(const Operation& operation) {
  return *operation.action == '\0' ? "" : JsonString(operation.action);
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
  const std::string name = "name of the " + std::string(operation.answer->name());
  return "[" + Parameter("name", "path", name.c_str(), v3) + "," +
         Parameter("namespace", "path",
                   "object name and auth scope, such as for teams and projects", v3) +
         "," +
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
  return JsonObject({{"tags", R"(["imageOpenshiftIo_v1"])"},
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
                     {"tags", R"(["imageOpenshiftIo_v1"])"},
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

std::string DocumentOf(SchemaSet::Version version) {
  const bool v3 = version == SchemaSet::Version::kV3;
  SchemaSet schemas(version);
  schemas.Add(ListResources().answer, "", "v1", "APIResourceList");
  schemas.Add(ReadImageStream().answer, "image.openshift.io", "v1", "ImageStream");
  schemas.Add(ReadLayers().answer, "image.openshift.io", "v1", "ImageStreamLayers");
  const auto operation = [&](const Operation& one) {
    return v3 ? OperationV3(one, schemas) : OperationV2(one, schemas);
  };
  const auto item = [&](const Operation& read) {
    return JsonObject({{"get", operation(read)}, {"parameters", Parameters(read, v3)}});
  };
  const std::string paths = JsonObject({{kRoot, JsonObject({{"get", operation(ListResources())}})},
                                        {kImageStream, item(ReadImageStream())},
                                        {kLayers, item(ReadLayers())}});
  if (!v3) {
    return JsonObject({{"swagger", R"("2.0")"},
                       {"info", Info()},
                       {"paths", paths},
                       {"definitions", schemas.Json()},
                       {"securityDefinitions", SecurityScheme()}});
  }
  return JsonObject({{"openapi", R"("3.0.0")"},
                     {"info", Info()},
                     {"paths", paths},
                     {"components", JsonObject({{"schemas", schemas.Json()},
                                                {"securitySchemes", SecurityScheme()}})}});
}

std::string_view Trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// Calls `part` with each part of a list with commas, until it says that this is enough.
template <typename Part>
bool AnyOf(std::string_view list, Part part) {
  for (;;) {
    const size_t comma = list.find(',');
    if (part(Trim(list.substr(0, comma)))) return true;
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
    const std::string_view type = Trim(clause.substr(0, clause.find(';')));
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

OpenApi::OpenApi() {
  const auto add = [&](std::string_view path, std::string body) {
    std::string hash = Sha512Hex(body);
    documents_.push_back(
        {path, std::make_shared<const std::string>(std::move(body)), std::move(hash)});
  };
  add(kV2, DocumentOf(SchemaSet::Version::kV2));
  add(kGroup, DocumentOf(SchemaSet::Version::kV3));
  // Our own group alone: kube-aggregator merges the keys of all servers without asking whose they
  // are (openapiv3/aggregator).
  add(kV3,
      fmt::format(
          R"({{"paths":{{"apis/image.openshift.io/v1":{{"serverRelativeURL":"{}?hash={}"}}}}}})",
          kGroup, documents_.back().hash));
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

#include "server/api/openapi.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <map>
#include <utility>

#include "lib/base/ascii.h"
#include "lib/base/build_info.h"
#include "server/api/digest.h"
#include "server/api/openapi_paths.h"
#include "server/api/openapi_schema.h"

namespace strata::api {
namespace {

constexpr std::string_view kV2 = "/openapi/v2";
constexpr std::string_view kV3 = "/openapi/v3";
constexpr const char* kJson = "application/json";
constexpr int kYear = 365 * 24 * 3600;

std::string Info(const registry::Groups& groups) {
  std::string title = "Strata: ";
  for (const registry::Group* group : groups)
    title += (group == groups.front() ? "" : ", ") + group->name();
  return JsonObject({{"title", JsonString(title)}, {"version", JsonString(base::Build().version)}});
}

std::string SecurityScheme() {
  return JsonObject(
      {{"BearerToken", R"({"type":"apiKey","description":"Bearer Token authentication",)"
                       R"("name":"authorization","in":"header"})"}});
}

std::string DocumentOf(const registry::Groups& groups, SchemaSet::Version version) {
  const bool v3 = version == SchemaSet::Version::kV3;
  SchemaSet schemas(version);
  std::map<std::string, std::string> by_path;
  for (const registry::Group* group : groups) AddPaths(*group, schemas, by_path);
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

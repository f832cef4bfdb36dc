#include "server/api/request_info.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <span>
#include <utility>

#include "lib/base/ascii.h"
#include "lib/base/memo.h"
#include "lib/image/object_name.h"
#include "server/api/list_options.h"

namespace strata::api {
namespace {

constexpr size_t kRemembered = 512;     // targets a thread
constexpr size_t kMaxRemembered = 256;  // bytes of one

std::vector<std::string> Split(std::string_view path) {
  while (path.starts_with('/')) path.remove_prefix(1);
  while (path.ends_with('/')) path.remove_suffix(1);
  std::vector<std::string> parts;
  if (path.empty()) return parts;
  parts.reserve(static_cast<size_t>(std::count(path.begin(), path.end(), '/')) + 1);
  while (true) {
    const size_t slash = path.find('/');
    parts.emplace_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return parts;
    path.remove_prefix(slash + 1);
  }
}

std::string_view VerbOf(std::string_view method) {
  if (method == "POST") return "create";
  if (method == "GET" || method == "HEAD") return "get";
  if (method == "PUT") return "update";
  if (method == "PATCH") return "patch";
  if (method == "DELETE") return "delete";
  return "";
}

// A list may be a watch, and a field selector may name the one object that is meant; not where a
// parameter can't be read, though. Nor for a path with an empty name in it, which upstream lets
// have one from there: what is allowed as a list would be routed as a get of a subresource.
void RefineList(RequestInfo& info) {
  const std::string watch = base::Lower(info.query.Find("watch").value_or("false"));
  info.verb = watch == "false" || watch == "0" ? "list" : "watch";
  if (!info.subresource.empty() || !info.query.Find("fieldSelector")) return;
  const auto asked = DecodeListParameters(info.query);
  if (!asked.ok()) return;
  auto name = asked->fields.RequiresExactMatch("metadata.name");
  if (name && image::IsPathSegment(*name)) info.name = *std::move(name);
}

}  // namespace

std::optional<RequestInfo> ParseRequestInfo(std::string_view method, std::string_view target) {
  // url.Parse takes no control characters, not even in a query.
  if (std::any_of(target.begin(), target.end(),
                  [](unsigned char c) { return c < 0x20 || c == 0x7F; }))
    return std::nullopt;
  const size_t mark = target.find('?');
  auto path = Unescape(target.substr(0, mark), false);
  if (!path || !path->starts_with('/')) return std::nullopt;
  RequestInfo info;
  info.path = *std::move(path);
  if (mark != std::string_view::npos) info.query = Query(target.substr(mark + 1));
  info.parts = Split(info.path);
  info.verb = base::Lower(method);

  std::span<const std::string> parts = info.parts;
  if (parts.size() < 3 || (parts[0] != "api" && parts[0] != "apis")) return info;
  const bool grouped = parts[0] == "apis";
  if (grouped && parts.size() < 4) return info;
  parts = parts.subspan(1);
  if (grouped) {
    info.api_group = parts[0];
    parts = parts.subspan(1);
  }
  info.is_resource = true;
  info.api_version = parts[0];
  parts = parts.subspan(1);
  info.verb = VerbOf(method);
  if (parts[0] == "watch" || parts[0] == "proxy") {
    info.verb = parts[0];
    parts = parts.subspan(1);
    if (parts.empty()) {
      info.problem = fmt::format("unable to determine kind and namespace from url, {}", target);
      return info;
    }
  }
  if (parts[0] == "namespaces" && parts.size() > 1) {
    info.ns = parts[1];
    if (parts.size() > 2 && parts[2] != "status" && parts[2] != "finalize")
      parts = parts.subspan(2);
  }
  if (parts.size() >= 3 && info.verb != "proxy") info.subresource = parts[2];
  if (parts.size() >= 2) info.name = parts[1];
  info.resource = parts[0];
  if (info.name.empty() && info.verb == "get") RefineList(info);
  if (info.name.empty() && info.verb == "delete") info.verb = "deletecollection";
  return info;
}

std::shared_ptr<const RequestInfo> RecallRequestInfo(std::string_view method,
                                                     std::string_view target) {
  struct Question {
    std::string method, target;
  };
  thread_local base::Memo<Question, RequestInfo, kRemembered> memo;
  const size_t hash = std::hash<std::string_view>()(target);
  auto known = memo.Find(
      hash, [&](const Question& one) { return one.target == target && one.method == method; });
  if (known != nullptr) return known;
  auto parsed = ParseRequestInfo(method, target);
  if (!parsed) return nullptr;
  auto info = std::make_shared<const RequestInfo>(*std::move(parsed));
  if (method.size() + target.size() <= kMaxRemembered)
    memo.Keep(hash, {std::string(method), std::string(target)}, info);
  return info;
}

}  // namespace strata::api

#include "server/endpoints/health.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "lib/base/bytes.h"

namespace strata::endpoints {
namespace {

constexpr std::string_view kEndpoints[] = {"healthz", "livez", "readyz"};

http::Response PlainText(int status, std::string body) {
  http::Response response;
  response.status = status;
  response.headers.Add("content-type", "text/plain; charset=utf-8");
  response.headers.Add("x-content-type-options", "nosniff");
  response.body = std::make_shared<const std::string>(std::move(body));
  return response;
}

}  // namespace

void Health::Add(std::string name, Scope scope, Check check) {
  checks_.push_back({std::move(name), scope, std::move(check)});
}

std::vector<const Health::Named*> Health::ChecksOf(std::string_view endpoint) const {
  std::vector<const Named*> checks;
  for (const Named& named : checks_) {
    if (endpoint != "livez" || named.scope == Scope::kLiveness) checks.push_back(&named);
  }
  return checks;
}

void Health::AddMetrics(obs::Metrics& metrics) const {
  for (const char* endpoint : {"healthz", "livez", "readyz"}) {
    for (const Named* named : ChecksOf(endpoint)) {
      metrics.AddGaugeFunction("kubernetes_healthcheck", "Whether a check of health is ok.",
                               {{"name", named->name}, {"type", endpoint}},
                               [named] { return named->check().ok() ? 1.0 : 0.0; });
    }
  }
}

std::vector<std::string> Health::Paths() const {
  std::vector<std::string> paths;
  for (const std::string_view endpoint : kEndpoints) {
    paths.push_back(fmt::format("/{}", endpoint));
    for (const Named* named : ChecksOf(endpoint)) {
      paths.push_back(fmt::format("/{}/{}", endpoint, named->name));
    }
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

http::Response Health::Answer(std::string_view path, bool verbose,
                              const std::vector<std::string>& excluded) const {
  path.remove_prefix(1);
  const size_t slash = path.find('/');
  const std::string_view endpoint = path.substr(0, slash);
  const std::vector<const Named*> checks = ChecksOf(endpoint);
  if (slash != std::string_view::npos) {
    const std::string_view name = path.substr(slash + 1);
    const auto named =
        std::find_if(checks.begin(), checks.end(), [&](const Named* n) { return n->name == name; });
    const base::Status status =
        named == checks.end() ? base::NotFoundError("no such check") : (*named)->check();
    if (status.ok()) return PlainText(200, "ok");
    return PlainText(500, fmt::format("internal server error: {}\n", base::Message(status)));
  }

  std::string report;
  bool failed = false;
  std::vector<std::string_view> unmatched(excluded.begin(), excluded.end());
  for (const Named* named : checks) {
    if (std::find(excluded.begin(), excluded.end(), named->name) != excluded.end()) {
      report += fmt::format("[+]{} excluded: ok\n", named->name);
      std::erase(unmatched, named->name);
    } else if (named->check().ok()) {
      report += fmt::format("[+]{} ok\n", named->name);
    } else {
      report += fmt::format("[-]{} failed: reason withheld\n", named->name);
      failed = true;
    }
  }
  if (!unmatched.empty()) {
    report += "warn: some health checks cannot be excluded: no matches for ";
    for (size_t i = 0; i < unmatched.size(); ++i) {
      report += fmt::format("{}\"{}\"", i == 0 ? "" : ",", base::Printable(unmatched[i], 64));
    }
    report += '\n';
  }
  if (failed) return PlainText(500, fmt::format("{}{} check failed\n", report, endpoint));
  if (!verbose) return PlainText(200, "ok");
  return PlainText(200, fmt::format("{}{} check passed\n", report, endpoint));
}

}  // namespace strata::endpoints

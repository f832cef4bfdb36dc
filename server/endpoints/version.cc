#include "server/endpoints/version.h"

#include <fmt/format.h>

#include <memory>
#include <string>

#include "lib/base/build_info.h"

namespace strata::endpoints {

http::Response AnswerVersion() {
  // goVersion is part of the type that clients decode into; there is none, so it is empty.
  const base::BuildInfo& build = base::Build();
  http::Response response;
  response.headers.Add("content-type", "application/json");
  response.body = std::make_shared<const std::string>(fmt::format(
      R"({{
  "major": "{}",
  "minor": "{}",
  "gitVersion": "{}",
  "gitCommit": "{}",
  "gitTreeState": "",
  "buildDate": "1970-01-01T00:00:00Z",
  "goVersion": "",
  "compiler": "{}",
  "platform": "{}"
}})",
      build.major, build.minor, build.version, build.git_commit, build.compiler, build.platform));
  return response;
}

}  // namespace strata::endpoints

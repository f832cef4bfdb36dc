// Which build this is, for --version, /version and the log's first line.
#pragma once

namespace strata::base {

struct BuildInfo {
  const char* version;  // "v0.1.0"
  const char* major;
  const char* minor;
  const char* git_commit;  // empty when built outside a checkout
  const char* compiler;    // "gcc 12.2.0"
  const char* platform;    // "linux/amd64", as Go names it
};

const BuildInfo& Build();

}  // namespace strata::base

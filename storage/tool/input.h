// Where documents come from: files, stdin, directories and must-gather trees, plain or gzipped.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"
#include "storage/tool/spool.h"

namespace strata::tool {

// The files that `argument` means: itself, or of a directory all *.yaml, *.yml, *.json and their
// .gz below it, in the order of their paths. Of a must-gather (a directory that holds
// `cluster-scoped-resources`) only what lies below an `image.openshift.io` is taken: the rest is
// thousands of files of other kinds. "-" is stdin.
base::StatusOr<std::vector<std::string>> ExpandInput(const std::string& argument);

// How messages name an input.
inline std::string_view InputName(std::string_view path) {
  return path == "-" ? "<stdin>" : path;
}

// Reads `path` ("-": stdin) into `text`, unpacked if it begins as gzip does. More than `limit`
// unpacked bytes, a tar archive or a broken stream is an error; so is a path that can't be read.
base::Status ReadInput(const std::string& path, size_t limit, Spool& text);

}  // namespace strata::tool

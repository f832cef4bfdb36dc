// A stream of bytes to stdout or a file, gzipped if asked for.
#pragma once

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include "lib/base/status.h"

namespace strata::tool {

class Output {
 public:
  // To `file`, which is not closed.
  Output(std::FILE* file, bool gzip);
  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  base::Status Write(std::string_view bytes);
  // Everything is with the system after this; call it once, last.
  base::Status Finish();

 private:
  class Gzip;

  base::Status WriteRaw(std::string_view bytes);

  std::FILE* const file_;
  const std::unique_ptr<Gzip> gzip_;  // null: plain
};

}  // namespace strata::tool

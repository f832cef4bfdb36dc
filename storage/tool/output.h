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

// A file that is whole under its name, or isn't there, for its owner's eyes alone: it is written
// beside, and what had the name before keeps it until Keep. What is no regular file (a pipe, a
// device, a link such as /dev/stdout) is written as it is.
class OutputFile {
 public:
  static base::StatusOr<std::unique_ptr<OutputFile>> Make(const std::string& path);
  // Without Keep nothing is left.
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  std::FILE* stream() const { return stream_; }
  // On the disk after this. Once, when all is written.
  base::Status Keep();

 private:
  OutputFile(std::string path, std::string beside, std::FILE* stream);

  const std::string path_;
  std::string beside_;  // empty: there is none
  std::FILE* stream_;   // null: closed
};

}  // namespace strata::tool

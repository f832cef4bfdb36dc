// Any text is cut into pieces that lie inside it, and the cutting ends.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "storage/tool/documents.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  strata::tool::DocumentReader reader(std::string_view(reinterpret_cast<const char*>(data), size));
  strata::tool::Document document;
  size_t bytes = 0, last_line = 0;
  while (reader.Next(document)) {
    bytes += document.text.size();
    if (document.line < last_line || bytes > size) std::abort();
    last_line = document.line;
  }
  return 0;
}

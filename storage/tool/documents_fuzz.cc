// Any text is cut into pieces that lie inside it, the cutting ends, and whatever a piece holds is a
// record, another kind or a bad document.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "storage/tool/documents.h"
#include "storage/tool/parse.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  strata::tool::DocumentReader reader(std::string_view(reinterpret_cast<const char*>(data), size));
  strata::tool::Document document;
  std::vector<strata::tool::ParseResult> results;
  size_t bytes = 0, last_line = 0;
  while (reader.Next(document)) {
    bytes += document.text.size();
    if (document.line < last_line || bytes > size) std::abort();
    last_line = document.line;
    results.clear();
    strata::tool::Parse(document, "ns", results);
  }
  return 0;
}

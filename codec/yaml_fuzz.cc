// Any bytes: the reader must return; what it reads, printed as YAML, must read the same again.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "codec/json_text.h"
#include "codec/yaml.h"

namespace {

// Where yaml-cpp, which reads YAML 1.2, parts from go-yaml, whose 1.1 the writer prints: line
// breaks that are none any more.
bool HasOldBreaks(std::string_view json) {
  return json.find("\\u2028") != json.npos || json.find("\\u2029") != json.npos;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace strata::codec;
  (void)ForEachYamlDocument({reinterpret_cast<const char*>(data), size}, [](YamlDocument document) {
    std::string compact;
    if (!AppendCompact(document.json, compact)) std::abort();
    const std::string yaml = JsonToYaml(document.json);
    if (HasOldBreaks(document.json)) return true;
    int again = 0;
    const auto read = ForEachYamlDocument(yaml, [&](YamlDocument copy) {
      if (JsonToYaml(copy.json) != yaml) std::abort();
      ++again;
      return true;
    });
    if (!read.ok() || again != 1) std::abort();
    return true;
  });
  return 0;
}

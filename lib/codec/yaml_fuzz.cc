// Any bytes: the reader must return; what it reads, printed as YAML, must read the same again.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "lib/codec/json_text.h"
#include "lib/codec/yaml.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace strata::codec;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::string as_json;
  // JSON is passed on as it stands, keys that stand twice too.
  if (AppendCompact(text, as_json)) return 0;
  (void)ForEachYamlDocument(text, [](const YamlDocument& document) {
    std::string compact;
    if (!AppendCompact(document.json, compact)) std::abort();
    const std::string yaml = JsonToYaml(document.json);
    int again = 0;
    const auto read = ForEachYamlDocument(yaml, [&](const YamlDocument& copy) {
      if (JsonToYaml(copy.json) != yaml) std::abort();
      ++again;
      return true;
    });
    if (!read.ok() || again != 1) std::abort();
    return true;
  });
  return 0;
}

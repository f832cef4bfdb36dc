// Any text, as both kinds of selectors: parsing must return, what is refused is told why, and what
// is taken can be asked.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "server/api/field_selector.h"
#include "server/api/label_selector.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  strata::api::LabelSelector::Labels labels;
  labels["a"] = "1";
  labels["app"] = "web";
  const auto of_labels = strata::api::LabelSelector::Parse(text);
  if (of_labels.ok()) {
    if (of_labels->empty() && !of_labels->Matches(labels)) std::abort();
    (void)of_labels->Matches(labels);
  } else if (strata::base::Message(of_labels.status()).empty()) {
    std::abort();
  }
  const auto of_fields = strata::api::FieldSelector::Parse(text);
  if (of_fields.ok()) {
    (void)of_fields->Matches([](const std::string& field) { return field; });
  } else if (strata::base::Message(of_fields.status()).empty()) {
    std::abort();
  }
  return 0;
}

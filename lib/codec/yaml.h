// YAML beside JSON: reading whatever people write, and printing what sigs.k8s.io/yaml prints.
#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <string_view>

#include "lib/base/status.h"

namespace strata::codec {

struct YamlDocument {
  std::string json;  // compact; Go's yaml.v2 rules decide what is a number, a boolean or null
  int line = 1;      // where the document starts, counted from 1
};

// Calls `document` with each document of a YAML stream (JSON is YAML), empty ones left out, until
// it returns false. As kubectl reads it, by go-yaml v2: aliases are what they stand for, up to a
// bound that keeps a small text from becoming a large one; `<<` merges maps; of a key that stands
// twice the last counts; keys are strings in the end. Only !!binary stays what it is, base64.
// Nesting deeper than a thousand levels is an error. An error names the line and what is wrong
// there, and ends the stream; documents before it have been delivered.
base::Status ForEachYamlDocument(std::string_view yaml,
                                 const std::function<bool(YamlDocument document)>& document);

// The compact, valid JSON value `json` as YAML: keys sorted by bytes, block style, strings quoted
// and folded as go-yaml v2 does. Ends with a line feed. Characters that YAML doesn't allow are
// escaped in double quotes: the reference makes YAML by reading its JSON as YAML, and answers 500
// where that holds U+007F to U+009F, U+FEFF, U+FFFE or U+FFFF (sigs.k8s.io/yaml
// goyaml.v2/readerc.go). Returns soon, with a part of it, once it is stopped.
std::string JsonToYaml(std::string_view json, const std::stop_token& stop = {});

}  // namespace strata::codec

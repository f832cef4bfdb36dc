// JSON printed as YAML: block style, and keys in the order they have, so that a record that is
// dumped and loaded again has the bytes it had (lib/codec/yaml.h sorts them, as the reference's
// answers do).
#pragma once

#include <string>
#include <string_view>

namespace strata::tool {

// Appends `json`, which must be one valid compact JSON value, as a YAML document that means the
// same to any YAML 1.1 or 1.2 parser, with a line feed at its end. What is nested very deeply stays
// in JSON's form, which is YAML too.
void AppendYaml(std::string_view json, std::string& out);

}  // namespace strata::tool

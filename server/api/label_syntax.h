// What keys and values of labels may be (k8s.io/apimachinery pkg/util/validation).
#pragma once

#include <string>
#include <string_view>

namespace strata::api {

// Upstream's words for what is wrong, in one text; empty if nothing is.
std::string LabelKeyProblem(std::string_view key);      // IsQualifiedName
std::string LabelValueProblem(std::string_view value);  // IsValidLabelValue

bool IsDns1123Label(std::string_view name);  // what a namespace may be called

}  // namespace strata::api

#include "lib/base/foreign_flags.h"

#include <fmt/format.h>

#include <algorithm>

namespace strata::base {
namespace {

const ForeignFlag* Find(const std::vector<ForeignFlag>& known, std::string_view name) {
  const auto found = std::find_if(known.begin(), known.end(), [&](const ForeignFlag& one) {
    if (!one.name.ends_with('*')) return name == one.name;
    return name.starts_with(one.name.substr(0, one.name.size() - 1));
  });
  return found == known.end() ? nullptr : &*found;
}

bool Takes(const ForeignFlag& flag, std::string_view value) {
  return std::find(flag.taken.begin(), flag.taken.end(), value) != flag.taken.end() ||
         (flag.is_so != nullptr && flag.is_so(value));
}

}  // namespace

Status DropForeignFlags(const std::vector<ForeignFlag>& known,
                        std::vector<std::string>& arguments) {
  std::vector<std::string> rest;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    const size_t equals = std::min(argument.find('='), argument.size());
    const std::string_view name = std::string_view(argument).substr(0, equals);
    const ForeignFlag* foreign = argument.starts_with("--") ? Find(known, name) : nullptr;
    if (foreign == nullptr || foreign->why.empty()) {
      rest.push_back(argument);
      continue;
    }
    std::string value;
    if (equals < argument.size()) {
      value = argument.substr(equals + 1);
    } else if (foreign->is_switch) {
      value = "true";
    } else if (i + 1 < arguments.size()) {
      value = arguments[++i];
    }
    if (!Takes(*foreign, value))
      return InvalidArgumentError(fmt::format("{} can't be set here: {}", name, foreign->why));
  }
  arguments = std::move(rest);
  return OkStatus();
}

}  // namespace strata::base

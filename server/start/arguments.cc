#include "server/start/arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "lib/base/file.h"
#include "lib/codec/json_tree.h"
#include "lib/codec/yaml.h"

namespace strata::start {
namespace {

constexpr std::string_view kConfig = "--config";
constexpr size_t kMaxConfigBytes = 1 << 20;

std::string Normalized(std::string argument) {
  if (argument.starts_with("--")) {
    const size_t end = std::min(argument.find('='), argument.size());
    std::replace(argument.begin(), argument.begin() + static_cast<ptrdiff_t>(end), '_', '-');
    return argument;
  }
  if (argument.size() > 2 && argument[0] == '-' && argument[2] == '=') argument.erase(2, 1);
  return argument;
}

std::string NameOf(const std::string& argument) {
  return argument.substr(0, argument.find('='));
}

base::Status AppendValue(const std::string& key, const codec::JsonTree& value,
                         std::vector<std::string>& arguments) {
  using Kind = codec::JsonTree::Kind;
  if (value.kind == Kind::kLiteral || value.kind == Kind::kString) {
    if (value.kind == Kind::kLiteral && value.text == "null")
      return base::InvalidArgumentError(key + ": a value is missing");
    arguments.push_back(fmt::format("--{}={}", key, value.text));
    return base::OkStatus();
  }
  if (value.kind != Kind::kList)
    return base::InvalidArgumentError(key + ": a value or a list of values is expected");
  for (const codec::JsonTree& item : value.items) {
    if (item.kind != Kind::kLiteral && item.kind != Kind::kString)
      return base::InvalidArgumentError(key + ": a list of plain values is expected");
    arguments.push_back(fmt::format("--{}={}", key, item.text));
  }
  return base::OkStatus();
}

base::Status ReadDocument(std::string_view json, const std::set<std::string>& given,
                          std::vector<std::string>& arguments) {
  const codec::JsonTree tree = codec::ParseTree(json);
  if (tree.kind != codec::JsonTree::Kind::kObject)
    return base::InvalidArgumentError("lines `flag: value` are expected");
  for (size_t i = 0; i < tree.keys.size(); ++i) {
    const std::string name = Normalized("--" + tree.keys[i]);
    if (name == kConfig) return base::InvalidArgumentError("config: files don't name others");
    if (given.contains(name)) continue;
    STRATA_RETURN_IF_ERROR(AppendValue(name.substr(2), tree.items[i], arguments));
  }
  return base::OkStatus();
}

base::StatusOr<std::vector<std::string>> ReadConfig(const std::string& path,
                                                    const std::set<std::string>& given) {
  STRATA_ASSIGN_OR_RETURN(const std::string text, base::ReadFile(path, kMaxConfigBytes));
  std::vector<std::string> arguments;
  int documents = 0;
  base::Status status;
  const base::Status parsed =
      codec::ForEachYamlDocument(text, [&](const codec::YamlDocument& document) {
        status = ++documents == 1 ? ReadDocument(document.json, given, arguments)
                                  : base::InvalidArgumentError("one document is expected");
        return status.ok();
      });
  status.Update(parsed);
  if (!status.ok()) return base::Annotate(status, path);
  return arguments;
}

}  // namespace

base::StatusOr<std::vector<std::string>> ReadArguments(int argc, const char* const* argv) {
  std::vector<std::string> line;
  std::set<std::string> given;
  std::string config;
  for (int i = 1; i < argc; ++i) {
    std::string argument = Normalized(argv[i]);
    const std::string name = NameOf(argument);
    if (name == kConfig) {
      if (argument.size() > name.size()) {
        config = argument.substr(name.size() + 1);
      } else if (i + 1 < argc) {
        config = argv[++i];
      }
      if (config.empty()) return base::InvalidArgumentError("--config: the file's name is missing");
      continue;
    }
    given.insert(name);
    line.push_back(std::move(argument));
  }
  if (config.empty()) return line;
  auto arguments = ReadConfig(config, given);
  if (!arguments.ok()) return base::Annotate(arguments.status(), "--config");
  std::move(line.begin(), line.end(), std::back_inserter(*arguments));
  return *std::move(arguments);
}

}  // namespace strata::start

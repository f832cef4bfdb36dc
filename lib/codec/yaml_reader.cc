#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/base/string_map.h"
#include "lib/codec/json_text.h"
#include "lib/codec/yaml.h"
#include "lib/codec/yaml_scalar.h"
#include "lib/codec/yaml_tree.h"

namespace strata::codec {
namespace {

constexpr std::string_view kTagPrefix = "tag:yaml.org,2002:";
// Of one document's JSON, what aliases may add.
constexpr size_t kMaxAliasBytes = 16 << 20;

base::Status AtLine(const YamlNode& node, std::string_view what) {
  return base::InvalidArgumentError(fmt::format("line {}: {}", node.line, what));
}

// How much of what was written aliases may have made (go-yaml v2 decode.go allowedAliasRatio).
double AllowedAliasRatio(double written) {
  constexpr double kLow = 400'000, kHigh = 4'000'000;
  if (written <= kLow) return 0.99;
  if (written >= kHigh) return 0.10;
  return 0.99 - 0.89 * (written - kLow) / (kHigh - kLow);
}

// What a token that a plain scalar stands for is to go-yaml.
std::string_view TagOf(const std::optional<std::string>& token) {
  if (!token) return "str";
  if (*token == "null") return "null";
  if (*token == "true" || *token == "false") return "bool";
  return token->find_first_of(".eE") == token->npos ? "int" : "float";
}

// The JSON token of a scalar; nothing: its text is a string. As go-yaml v2 resolve.go resolve, but
// that the base64 of !!binary stays: it is the form that JSON has for bytes.
base::StatusOr<std::optional<std::string>> Resolve(const YamlNode& node) {
  if (node.tag.empty()) return node.plain ? ResolvePlain(node.text) : std::optional<std::string>();
  std::string_view tag = node.tag;
  if (!tag.starts_with(kTagPrefix)) return std::optional<std::string>();
  tag.remove_prefix(kTagPrefix.size());
  if (tag == "binary") {
    if (!base::FromBase64(node.text)) return AtLine(node, "!!binary: expected base64");
    return std::optional<std::string>();
  }
  if (tag != "bool" && tag != "int" && tag != "float" && tag != "null")
    return std::optional<std::string>();
  auto token = ResolvePlain(node.text);
  const std::string_view is = TagOf(token);
  if (is != tag && !(is == "int" && tag == "float")) {
    return AtLine(node, fmt::format("\"{}\" is a !!{}, not a !!{}", base::Printable(node.text, 100),
                                    is, tag));
  }
  return token;
}

// Writes the JSON of one document, in which aliases are what they stand for, and mappings are
// merged (`<<`) as go-yaml v2 merges them: in the order of the text, a later key before an earlier.
class JsonWriter {
 public:
  explicit JsonWriter(const std::vector<YamlNode>& nodes)
      : nodes_(nodes), is_open_(nodes.size(), false) {}

  base::StatusOr<std::string> Write() && {
    STRATA_RETURN_IF_ERROR(Value(0));
    return std::move(json_);
  }

 private:
  struct Member {
    std::string key;
    uint32_t value;
  };
  struct Members {
    std::vector<Member> list;
    base::StringMap<size_t> by_key;
  };

  base::Status Value(uint32_t at) {
    const YamlNode& node = nodes_[at];
    STRATA_RETURN_IF_ERROR(Count(node));
    if (node.kind == YamlNode::Kind::kScalar) return Scalar(node);
    STRATA_RETURN_IF_ERROR(Enter(node));
    base::Status status;
    if (node.kind == YamlNode::Kind::kAlias) {
      ++aliases_;
      status = is_open_[node.target] ? ContainsItself(node) : Value(node.target);
      --aliases_;
    } else {
      is_open_[at] = true;
      status = node.kind == YamlNode::Kind::kMapping ? Mapping(node) : Sequence(node);
      is_open_[at] = false;
    }
    --depth_;
    return status;
  }

  base::Status Enter(const YamlNode& node) {
    if (depth_ == kMaxYamlDepth)
      return AtLine(node, fmt::format("nested more than {} levels deep", kMaxYamlDepth));
    ++depth_;
    return base::OkStatus();
  }

  static base::Status ContainsItself(const YamlNode& alias) {
    return AtLine(alias, fmt::format("what the anchor &{} names contains itself",
                                     base::Printable(alias.text, 100)));
  }

  // Refuses texts that are small and mean much (go-yaml v2 decode.go unmarshal).
  base::Status Count(const YamlNode& node) {
    ++written_;
    if (aliases_ > 0) {
      ++written_by_aliases_;
      alias_bytes_ += node.text.size() + 2;
    }
    const bool many = written_by_aliases_ > 100 && written_ > 1000 &&
                      static_cast<double>(written_by_aliases_) / static_cast<double>(written_) >
                          AllowedAliasRatio(static_cast<double>(written_));
    if (many || alias_bytes_ > kMaxAliasBytes)
      return AtLine(node, "aliases make too much of this document");
    return base::OkStatus();
  }

  base::Status Scalar(const YamlNode& node) {
    STRATA_ASSIGN_OR_RETURN(const auto token, Resolve(node));
    if (token) {
      json_ += *token;
    } else {
      AppendJsonString(node.text, json_);
    }
    return base::OkStatus();
  }

  base::Status Sequence(const YamlNode& node) {
    json_ += '[';
    for (size_t i = 0; i < node.children.size(); ++i) {
      if (i > 0) json_ += ',';
      STRATA_RETURN_IF_ERROR(Value(node.children[i]));
    }
    json_ += ']';
    return base::OkStatus();
  }

  base::Status Mapping(const YamlNode& node) {
    Members members;
    STRATA_RETURN_IF_ERROR(Gather(node, members));
    json_ += '{';
    bool first = true;
    for (const Member& member : members.list) {
      if (!first) json_ += ',';
      first = false;
      AppendJsonString(member.key, json_);
      json_ += ':';
      STRATA_RETURN_IF_ERROR(Value(member.value));
    }
    json_ += '}';
    return base::OkStatus();
  }

  base::Status Gather(const YamlNode& mapping, Members& members) {
    for (size_t i = 0; i + 1 < mapping.children.size(); i += 2) {
      const uint32_t value = mapping.children[i + 1];
      const YamlNode& key = Named(mapping.children[i]);
      STRATA_RETURN_IF_ERROR(Count(key));
      if (key.kind != YamlNode::Kind::kScalar) return AtLine(key, "a key that is a list or a map");
      const bool merges =
          key.text == "<<" && (key.plain || key.tag == std::string(kTagPrefix) + "merge");
      if (merges) {
        STRATA_RETURN_IF_ERROR(Merge(value, members));
        continue;
      }
      STRATA_ASSIGN_OR_RETURN(const auto token, Resolve(key));
      if (token && *token == "null") return AtLine(key, "a null key");
      std::string text = token ? PlainLiteral(*token) : key.text;
      const auto [at, added] = members.by_key.try_emplace(text, members.list.size());
      if (added) {
        members.list.push_back({std::move(text), value});
      } else {
        members.list[at->second].value = value;
      }
    }
    return base::OkStatus();
  }

  // `value`: a mapping, or a list of mappings of which the first ones count most.
  base::Status Merge(uint32_t value, Members& members) {
    std::vector<uint32_t> mappings = {value};
    if (const YamlNode& node = nodes_[value]; node.kind == YamlNode::Kind::kSequence)
      mappings.assign(node.children.rbegin(), node.children.rend());
    for (const uint32_t at : mappings) {
      const YamlNode& node = nodes_[at];
      const bool alias = node.kind == YamlNode::Kind::kAlias;
      const uint32_t mapping = alias ? node.target : at;
      if (nodes_[mapping].kind != YamlNode::Kind::kMapping)
        return AtLine(node, "<< takes a map, or a list of maps");
      if (is_open_[mapping]) return ContainsItself(node);
      STRATA_RETURN_IF_ERROR(Enter(node));
      is_open_[mapping] = true;
      aliases_ += alias;
      const base::Status status = Gather(nodes_[mapping], members);
      aliases_ -= alias;
      is_open_[mapping] = false;
      --depth_;
      STRATA_RETURN_IF_ERROR(status);
    }
    return base::OkStatus();
  }

  const YamlNode& Named(uint32_t at) const {
    return nodes_[nodes_[at].kind == YamlNode::Kind::kAlias ? nodes_[at].target : at];
  }

  const std::vector<YamlNode>& nodes_;
  std::vector<bool> is_open_;  // of a list or a mapping: it is around what is being written
  std::string json_;
  size_t depth_ = 0, aliases_ = 0;  // around what is being written
  size_t written_ = 0, written_by_aliases_ = 0, alias_bytes_ = 0;
};

}  // namespace

base::Status ForEachYamlDocument(std::string_view yaml,
                                 const std::function<bool(YamlDocument document)>& document) {
  if (yaml.starts_with("\xef\xbb\xbf")) yaml.remove_prefix(3);  // a byte order mark
  // JSON first, as kubectl does: YAML has no halves of surrogate pairs, and short keys alone.
  const size_t start = yaml.find_first_not_of(" \t\r\n");
  std::string compact;
  if (start != yaml.npos && yaml[start] == '{' && AppendCompact(yaml, compact)) {
    const auto line = std::count(yaml.begin(), yaml.begin() + static_cast<ptrdiff_t>(start), '\n');
    document({std::move(compact), static_cast<int>(line) + 1});
    return base::OkStatus();
  }
  YamlStream stream(yaml);
  for (;;) {
    STRATA_ASSIGN_OR_RETURN(const bool more, stream.Next());
    if (!more) return base::OkStatus();
    if (stream.nodes().empty()) continue;
    const int line = stream.nodes().front().line;
    STRATA_ASSIGN_OR_RETURN(std::string json, JsonWriter(stream.nodes()).Write());
    if (json == "null") continue;
    if (!document({std::move(json), line})) return base::OkStatus();
  }
}

}  // namespace strata::codec

// The nodes of a YAML stream, a document at a time, as libyaml parses them: it reads what go-yaml
// reads, which is its port.
#pragma once

#include <yaml.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"
#include "lib/base/string_map.h"

namespace strata::codec {

struct YamlNode {
  enum class Kind { kScalar, kSequence, kMapping, kAlias };
  Kind kind = Kind::kScalar;
  bool plain = false;  // a scalar without quotes, whose text decides what it is
  int line = 1;
  uint32_t target = 0;             // of an alias: the node that it stands for
  std::string tag{};               // of a scalar; with !! written out; empty: none
  std::string text{};              // of a scalar; of an alias the anchor's name
  std::vector<uint32_t> children;  // of a mapping: key, value, key, value, …
};

// Levels of lists and mappings that a document may have; more is an error.
inline constexpr size_t kMaxYamlDepth = 1000;

// Not thread-safe.
class YamlStream {
 public:
  // `text` outlives the stream.
  explicit YamlStream(std::string_view text);
  ~YamlStream();
  YamlStream(const YamlStream&) = delete;
  YamlStream& operator=(const YamlStream&) = delete;

  // Reads the next document. False at the end of the stream. An error says the line and what is
  // wrong there, and ends the stream.
  base::StatusOr<bool> Next();

  // Of the document that was read last. The root is the first one.
  const std::vector<YamlNode>& nodes() const { return nodes_; }

 private:
  base::Status Parse(yaml_event_t& event);
  base::Status Take(const yaml_event_t& event);
  base::StatusOr<uint32_t> Add(YamlNode::Kind kind, const yaml_event_t& event,
                               const yaml_char_t* anchor);
  base::Status Problem() const;

  const std::string_view text_;
  yaml_parser_t parser_;
  std::vector<YamlNode> nodes_;
  std::vector<uint32_t> open_;           // lists and mappings around the next node
  base::StringMap<uint32_t> anchors_{};  // of this document
};

}  // namespace strata::codec

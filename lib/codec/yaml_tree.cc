#include "lib/codec/yaml_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <new>

#include "lib/base/bytes.h"

namespace strata::codec {
namespace {

std::string_view View(const yaml_char_t* text) {
  return text == nullptr ? std::string_view() : reinterpret_cast<const char*>(text);
}

base::Status AtLine(size_t line, std::string_view what) {
  return base::InvalidArgumentError(fmt::format("line {}: {}", line, what));
}

// The line of `text` with this number, counted from 0.
std::string_view LineAt(std::string_view text, size_t number) {
  for (; number > 0; --number) {
    const size_t end = text.find('\n');
    if (end == text.npos) return {};
    text.remove_prefix(end + 1);
  }
  return text.substr(0, text.find('\n'));
}

bool IsIndentedByTab(std::string_view line) {
  return line.substr(0, line.find_first_not_of(" \t")).find('\t') != line.npos;
}

}  // namespace

YamlStream::YamlStream(std::string_view text) : text_(text) {
  if (yaml_parser_initialize(&parser_) == 0) throw std::bad_alloc();
  // libyaml asserts that there is a place, even for no bytes; an empty view may have none.
  const char* const start = text.empty() ? "" : text.data();
  yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(start),
                               text.size());
}

YamlStream::~YamlStream() {
  yaml_parser_delete(&parser_);
}

base::StatusOr<bool> YamlStream::Next() {
  nodes_.clear();
  open_.clear();
  anchors_.clear();
  for (;;) {
    yaml_event_t event;
    STRATA_RETURN_IF_ERROR(Parse(event));
    const std::unique_ptr<yaml_event_t, decltype(&yaml_event_delete)> owner(&event,
                                                                            &yaml_event_delete);
    // Behind the stream's end libyaml gives events of no type.
    if (event.type == YAML_STREAM_END_EVENT || event.type == YAML_NO_EVENT) return false;
    if (event.type == YAML_DOCUMENT_END_EVENT) return true;
    STRATA_RETURN_IF_ERROR(Take(event));
  }
}

base::Status YamlStream::Parse(yaml_event_t& event) {
  return yaml_parser_parse(&parser_, &event) != 0 ? base::OkStatus() : Problem();
}

base::Status YamlStream::Take(const yaml_event_t& event) {
  switch (event.type) {
    case YAML_ALIAS_EVENT: {
      STRATA_ASSIGN_OR_RETURN(const uint32_t alias, Add(YamlNode::Kind::kAlias, event, nullptr));
      YamlNode& node = nodes_[alias];
      node.text = View(event.data.alias.anchor);
      const auto anchor = anchors_.find(node.text);
      if (anchor == anchors_.end()) {
        return AtLine(event.start_mark.line + 1, fmt::format("*{} is the alias of no anchor",
                                                             base::Printable(node.text, 100)));
      }
      node.target = anchor->second;
      return base::OkStatus();
    }
    case YAML_SCALAR_EVENT: {
      const auto& scalar = event.data.scalar;
      STRATA_ASSIGN_OR_RETURN(const uint32_t added,
                              Add(YamlNode::Kind::kScalar, event, scalar.anchor));
      YamlNode& node = nodes_[added];
      node.plain = scalar.plain_implicit != 0;
      node.tag = View(scalar.tag);
      node.text = {reinterpret_cast<const char*>(scalar.value), scalar.length};
      return base::OkStatus();
    }
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT: {
      if (open_.size() == kMaxYamlDepth) {
        return AtLine(event.start_mark.line + 1,
                      fmt::format("nested more than {} levels deep", kMaxYamlDepth));
      }
      const bool mapping = event.type == YAML_MAPPING_START_EVENT;
      const yaml_char_t* const anchor =
          mapping ? event.data.mapping_start.anchor : event.data.sequence_start.anchor;
      STRATA_ASSIGN_OR_RETURN(
          const uint32_t added,
          Add(mapping ? YamlNode::Kind::kMapping : YamlNode::Kind::kSequence, event, anchor));
      open_.push_back(added);
      return base::OkStatus();
    }
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
      open_.pop_back();
      return base::OkStatus();
    default:
      return base::OkStatus();  // a stream or a document begins
  }
}

base::StatusOr<uint32_t> YamlStream::Add(YamlNode::Kind kind, const yaml_event_t& event,
                                         const yaml_char_t* anchor) {
  const auto added = static_cast<uint32_t>(nodes_.size());
  nodes_.push_back({.kind = kind, .line = static_cast<int>(event.start_mark.line) + 1});
  if (!open_.empty()) nodes_[open_.back()].children.push_back(added);
  if (anchor != nullptr) anchors_.insert_or_assign(std::string(View(anchor)), added);
  return added;
}

// What libyaml says, with the line, and where what it was in begins: "did not find expected ',' or
// ']' (while parsing a flow sequence that begins in line 3)".
base::Status YamlStream::Problem() const {
  const std::string_view problem =
      parser_.problem == nullptr ? "out of memory" : std::string_view(parser_.problem);
  if (parser_.error == YAML_READER_ERROR) {
    const std::string_view before = text_.substr(0, parser_.problem_offset);
    return AtLine(static_cast<size_t>(std::count(before.begin(), before.end(), '\n')) + 1,
                  parser_.problem_value > 0
                      ? fmt::format("{}: {:#04x}", problem, parser_.problem_value)
                      : std::string(problem));
  }
  std::string what(problem);
  if (parser_.context != nullptr) {
    what += parser_.context_mark.line == parser_.problem_mark.line
                ? fmt::format(" ({})", parser_.context)
                : fmt::format(" ({} that begins in line {})", parser_.context,
                              parser_.context_mark.line + 1);
  }
  if (IsIndentedByTab(LineAt(text_, parser_.problem_mark.line)))
    what += "; the line is indented by a tab: YAML takes spaces only";
  return AtLine(parser_.problem_mark.line + 1, what);
}

}  // namespace strata::codec

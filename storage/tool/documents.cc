#include "storage/tool/documents.h"

#include <algorithm>
#include <set>

#include "lib/codec/json_scan.h"

namespace strata::tool {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

// Removes the first line, with its line feed, from `text` and returns it without it.
std::string_view TakeLine(std::string_view& text) {
  const size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

bool IsSeparator(std::string_view line, std::string_view mark) {
  return line.starts_with(mark) && (line.size() == 3 || line[3] == ' ' || line[3] == '\t');
}

size_t CountLines(std::string_view text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

// A plain or quoted scalar on one line, without a comment; empty if it is anything else.
std::string_view SimpleScalar(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  if (const size_t comment = text.find(" #"); comment != std::string_view::npos)
    text = text.substr(0, comment);
  text = text.substr(0, text.find_last_not_of(kBlanks) + 1);
  if (text.size() >= 2 && (text[0] == '"' || text[0] == '\'') && text.back() == text[0]) {
    text = text.substr(1, text.size() - 2);
  }
  const bool simple = text.find_first_of("\"'\\{}[]&*!|>%@`") == std::string_view::npos;
  return simple ? text : std::string_view();
}

bool IsListKind(std::string_view kind) {
  return kind.empty() || kind.ends_with("List");
}

bool IsFlow(std::string_view yaml) {
  return yaml.starts_with('{') || yaml.starts_with('[');
}

// The length of a word of JSON, or of one character of a number or a punctuation mark; 0 if JSON
// has no such thing.
size_t JsonTokenLength(std::string_view text) {
  for (const std::string_view word : {"true", "false", "null"}) {
    if (text.starts_with(word)) return word.size();
  }
  return std::string_view("{}[],:+-.eE0123456789 \t\r\n").find(text[0]) == text.npos ? 0 : 1;
}

// Whether the value that `text` begins with, a bracket, is JSON as far as can be seen, and not
// YAML's flow style: that has words without quotes, other quotes, comments, and strings of several
// lines. JSON that is broken, or cut, is JSON.
bool IsJson(std::string_view text) {
  size_t open = 0;
  for (size_t at = 0; at < text.size();) {
    if (text[at] == '"') {
      at = codec::JsonStringEnd(text, at);
      // Where values go on behind it, a string without an end is broken JSON.
      if (at < text.size() && text[at] == '\n') return text.find("\n{", at) != text.npos;
      ++at;
      continue;
    }
    const size_t length = JsonTokenLength(text.substr(at));
    if (length == 0) return false;
    open += text[at] == '{' || text[at] == '[';
    if ((text[at] == '}' || text[at] == ']') && --open == 0) return true;
    at += length;
  }
  return true;
}

// Whether an alias (`*name`) of `yaml` may be of an anchor (`&name`) in it: its parts mean
// something together alone then. Says yes of a text that looks so.
bool HasAliases(std::string_view yaml) {
  std::set<std::string_view> anchors, aliases;
  for (size_t at = 0; (at = yaml.find_first_of("&*", at)) != yaml.npos; ++at) {
    if (at > 0 && std::string_view(" \t\n[{,").find(yaml[at - 1]) == yaml.npos) continue;
    size_t end = at + 1;
    while (end < yaml.size() && std::string_view(" \t\r\n,]}").find(yaml[end]) == yaml.npos) ++end;
    if (end > at + 1)
      (yaml[at] == '&' ? anchors : aliases).insert(yaml.substr(at + 1, end - at - 1));
  }
  return std::any_of(aliases.begin(), aliases.end(),
                     [&](std::string_view alias) { return anchors.contains(alias); });
}

}  // namespace

DocumentReader::DocumentReader(std::string_view text, size_t first_line)
    : rest_(text), line_(first_line) {
  if (rest_.starts_with("\xef\xbb\xbf")) rest_.remove_prefix(3);  // a byte order mark
}

bool DocumentReader::Next(Document& document) {
  while (next_piece_ == pieces_.size()) {
    if (rest_.empty()) return false;
    ReadChunk();
  }
  const Piece& piece = pieces_[next_piece_++];
  const Types& types = types_[piece.types];
  document = Document();
  document.line = piece.line;
  document.is_json = piece.is_json;
  document.text = piece.text;
  document.api_version = types.api_version;
  document.kind = types.kind;
  if (piece.error != nullptr) document.error = base::InvalidArgumentError(piece.error);
  if (piece.is_item) {
    // Without its dash an item of a block sequence is a document by itself.
    if (!piece.is_json) document.text[document.text.find('-')] = ' ';
    if (document.kind == "List") {
      document.kind.clear();
      document.api_version.clear();
    } else if (document.kind.ends_with("List")) {
      document.kind.resize(document.kind.size() - 4);
    }
  }
  return true;
}

void DocumentReader::ReadChunk() {
  pieces_.clear();
  types_.clear();
  next_piece_ = 0;

  const char* begin = rest_.data();
  const size_t first_line = line_;
  size_t size = 0;
  while (!rest_.empty()) {
    const std::string_view from_here = rest_, line = TakeLine(rest_);
    ++line_;
    if (IsSeparator(line, "---")) {
      // What follows the dashes on their line belongs to the document they begin.
      const std::string_view tail = line.substr(3);
      if (const size_t at = tail.find_first_not_of(kBlanks);
          at != std::string_view::npos && tail[at] != '#') {
        rest_ = from_here.substr(3);
        --line_;
      }
      break;
    }
    if (IsSeparator(line, "...")) break;
    size = static_cast<size_t>(rest_.data() - begin);
  }

  const std::string_view chunk(begin, size);
  const size_t start = chunk.find_first_not_of(kBlanks);
  if (start == std::string_view::npos) return;
  const size_t line = first_line + CountLines(chunk.substr(0, start));
  if (chunk[start] == '{' && IsJson(chunk.substr(start))) {
    CutJson(chunk.substr(start), line);
  } else {
    CutYaml(chunk, first_line);
  }
}

// Looks only at lines that begin in the first column: those are the keys of the document's mapping,
// and of a List also the dashes of its items, since everything inside them is indented.
void DocumentReader::CutYaml(std::string_view chunk, size_t line) {
  Types types;
  std::vector<Piece> items;
  constexpr size_t kUnknown = std::string_view::npos;
  size_t dash_column = kUnknown;
  bool expects_items = false, in_items = false, blank = true;
  const char* item = nullptr;
  std::string_view content = chunk;  // from its first line that isn't a comment
  size_t content_line = line;

  const auto end_item = [&](const char* end) {
    if (item != nullptr)
      items.back().text = std::string_view(item, static_cast<size_t>(end - item));
    item = nullptr;
  };
  for (std::string_view rest = chunk; !rest.empty(); ++line) {
    const char* const begin = rest.data();
    const std::string_view text = TakeLine(rest);
    const size_t column = text.find_first_not_of(" \t");
    if (column == std::string_view::npos || text[column] == '#') continue;
    if (text[0] == '%') continue;  // a directive
    if (blank) {
      blank = false;
      content.remove_prefix(static_cast<size_t>(begin - chunk.data()));
      content_line = line;
    }
    if (expects_items) {
      expects_items = false;
      in_items = text[column] == '-';
      dash_column = in_items ? column : kUnknown;
    }
    if (in_items && column == dash_column && text[column] == '-' &&
        (text.size() == column + 1 || text[column + 1] == ' ')) {
      end_item(begin);
      item = begin;
      items.push_back({.text = {}, .line = line, .types = types_.size(), .is_item = true});
      continue;
    }
    if (column > 0) continue;
    end_item(begin);
    in_items = false;
    const size_t colon = text.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view key = text.substr(0, colon), value = text.substr(colon + 1);
    if (key == "kind") types.kind = SimpleScalar(value);
    if (key == "apiVersion") types.api_version = SimpleScalar(value);
    if (key == "items") {
      const size_t inline_value = value.find_first_not_of(" \t");
      expects_items = inline_value == std::string_view::npos || value[inline_value] == '#';
    }
  }
  end_item(chunk.data() + chunk.size());
  if (blank) return;

  // Lines of flow style are no keys, wherever they begin.
  const bool flow = IsFlow(content);
  if (!flow && !items.empty() && IsListKind(types.kind) && !HasAliases(content)) {
    pieces_.insert(pieces_.end(), items.begin(), items.end());
  } else {
    pieces_.push_back({.text = content, .line = content_line, .types = types_.size()});
  }
  types_.push_back(flow ? Types() : types);
}

constexpr std::string_view kOfJson = "{}[],:\"";

// Follows brackets and strings only; the JSON parser judges the rest.
void DocumentReader::CutJson(std::string_view chunk, size_t line) {
  size_t at = 0;
  while (true) {
    for (; at < chunk.size() && kBlanks.find(chunk[at]) != std::string_view::npos; ++at)
      line += chunk[at] == '\n';
    if (at == chunk.size()) return;
    if (chunk[at] == '#' && at > 0) {
      at = std::min(chunk.find('\n', at), chunk.size());
      continue;
    }
    const bool begins_line = at > 0 && chunk.find_last_not_of(" \t", at - 1) != chunk.npos &&
                             chunk[chunk.find_last_not_of(" \t", at - 1)] == '\n';
    if (types_.size() == 1 && begins_line && kOfJson.find(chunk[at]) == kOfJson.npos) {
      // As kubectl (apimachinery YAMLOrJSONDecoder): behind one JSON value YAML may stand.
      return CutYaml(chunk.substr(chunk.rfind('\n', at) + 1), line);
    }

    Types types;
    std::vector<Piece> items;
    const size_t value_begin = at, value_line = line;
    const size_t types_index = types_.size();
    std::string closers;
    std::string_view key;  // of the outermost object
    bool in_items = false, is_list = false;
    size_t item = 0;  // where the current item began; 0: between items
    const char* error = chunk[at] == '{' ? nullptr : "unexpected text after a JSON value";

    for (; error == nullptr && at < chunk.size(); ++at) {
      const char c = chunk[at];
      if (c == '\n') ++line;
      if (kBlanks.find(c) != std::string_view::npos) continue;
      if (in_items && closers.size() == 2 && item == 0 && c != ',' && c != ']') {
        item = at;
        items.push_back(
            {.text = {}, .line = line, .types = types_index, .is_json = true, .is_item = true});
      }
      if (c == '"') {
        const size_t begin = at + 1;
        at = codec::JsonStringEnd(chunk, at);
        if (at == chunk.size() || chunk[at] == '\n') {
          error = "a JSON string has no end";
          break;
        }
        const std::string_view text = chunk.substr(begin, at - begin);
        if (closers.size() == 1) {
          const size_t next = chunk.find_first_not_of(kBlanks, at + 1);
          if (next != std::string_view::npos && chunk[next] == ':') {
            key = text;
          } else if (key == "kind") {
            types.kind = text;
          } else if (key == "apiVersion") {
            types.api_version = text;
          }
        }
      } else if (c == '{' || c == '[') {
        if (c == '[' && closers.size() == 1 && key == "items") in_items = is_list = true;
        closers.push_back(c == '{' ? '}' : ']');
      } else if (c == '}' || c == ']') {
        if (closers.back() != c) {
          error = "brackets of JSON don't match";
          break;
        }
        closers.pop_back();
        if (closers.empty()) break;
      }
      if (in_items && item != 0 && (closers.size() == 1 || (closers.size() == 2 && c == ','))) {
        items.back().text = chunk.substr(item, at - item);
        item = 0;
      }
      if (closers.size() == 1) in_items = false;
    }
    if (error == nullptr && !closers.empty() && at >= chunk.size())
      error = "a JSON value has no end";

    types_.push_back(types);
    if (item != 0) items.pop_back();  // it was cut off by the error
    if (is_list && IsListKind(types.kind)) {
      pieces_.insert(pieces_.end(), items.begin(), items.end());
    } else if (error == nullptr) {
      pieces_.push_back({.text = chunk.substr(value_begin, at + 1 - value_begin),
                         .line = value_line,
                         .types = types_index,
                         .is_json = true});
    }
    if (error == nullptr) {
      ++at;
      continue;
    }
    pieces_.push_back(
        {.text = {}, .line = line, .types = types_index, .is_json = true, .error = error});
    // Goes on where a line begins a new value.
    at = chunk.find("\n{", at);
    if (at == std::string_view::npos) return;
    line = value_line + CountLines(chunk.substr(value_begin, at - value_begin));
  }
}

}  // namespace strata::tool

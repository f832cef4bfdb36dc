// Cuts a text into Kubernetes documents: YAML separated by `---`, JSON values one after the other,
// and the items of Lists, each for itself. So a document that is broken costs only itself, and a
// List of a million items is never parsed as one.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"

namespace strata::tool {

struct Document {
  size_t line = 1;  // of its first character in the input
  bool is_json = false;
  std::string text{};  // YAML or JSON of one value

  // As far as they can be seen without parsing; empty if not. An item of a typed list
  // (ImageStreamList) that says nothing itself has its list's, without "List".
  std::string api_version{};
  std::string kind{};

  // The text couldn't be cut here (JSON whose brackets don't match); `line` says where.
  base::Status error{};
};

class DocumentReader {
 public:
  // `text` must outlive the reader. Its first line is number `first_line`.
  explicit DocumentReader(std::string_view text, size_t first_line = 1);

  // The next document; false at the end. Documents without content (only blanks and comments) don't
  // appear.
  bool Next(Document& document);

 private:
  struct Types {
    std::string api_version;
    std::string kind;
  };
  // A cut of the current chunk. Small, since a List may have a million.
  struct Piece {
    std::string_view text;
    size_t line = 0;
    size_t types = 0;  // index into types_: its own, or its list's
    bool is_json = false;
    bool is_item = false;
    const char* error = nullptr;
  };

  // Cuts what stands before the next separator into pieces_.
  void ReadChunk();
  void CutYaml(std::string_view chunk, size_t line);
  void CutJson(std::string_view chunk, size_t line);

  std::string_view rest_;
  size_t line_;
  std::vector<Piece> pieces_;
  size_t next_piece_ = 0;
  std::vector<Types> types_;
};

}  // namespace strata::tool

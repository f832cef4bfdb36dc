// What a session has received and not taken yet. Private to this folder.
#pragma once

#include <string>
#include <string_view>

namespace strata::http {

class KeptInput {
 public:
  // What is kept, and `bytes` behind it. Valid until the next call.
  std::string_view Join(std::string_view bytes) {
    if (text_.empty()) return bytes;
    if (!bytes.empty()) {
      text_.erase(0, taken_);
      taken_ = 0;
      text_ += bytes;
    }
    return std::string_view(text_).substr(taken_);
  }

  // Keeps `rest`, the end of what Join returned. What stands before it is only passed over: a long
  // text is taken in many small steps.
  void Keep(std::string_view rest) {
    if (rest.empty()) return Drop();
    if (text_.empty()) text_ = rest;
    taken_ = text_.size() - rest.size();
  }

  // With its memory.
  void Drop() {
    std::string().swap(text_);
    taken_ = 0;
  }

  bool empty() const { return text_.empty(); }
  size_t size() const { return text_.size(); }  // with what has been passed over

 private:
  std::string text_;
  size_t taken_ = 0;  // less than there is
};

}  // namespace strata::http

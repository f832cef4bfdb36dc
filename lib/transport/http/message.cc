#include "lib/transport/http/message.h"

#include <algorithm>

namespace strata::http {

const std::string* Headers::Find(std::string_view name) const {
  const auto it = std::find_if(headers_.begin(), headers_.end(),
                               [&](const Header& h) { return h.name == name; });
  return it == headers_.end() ? nullptr : &it->value;
}

std::vector<std::string_view> Headers::All(std::string_view name) const {
  std::vector<std::string_view> values;
  for (const Header& header : headers_) {
    if (header.name == name) values.push_back(header.value);
  }
  return values;
}

void Headers::Remove(std::string_view name) {
  std::erase_if(headers_, [&](const Header& h) { return h.name == name; });
}

void Headers::RemovePrefix(std::string_view prefix) {
  std::erase_if(headers_, [&](const Header& h) { return h.name.starts_with(prefix); });
}

}  // namespace strata::http

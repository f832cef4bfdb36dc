// Who a request is from.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace strata::auth {

struct UserInfo {
  std::string name;
  std::string uid;
  std::vector<std::string> groups;
  std::map<std::string, std::vector<std::string>> extra;

  friend bool operator==(const UserInfo&, const UserInfo&) = default;
};

inline constexpr const char* kAnonymous = "system:anonymous";
inline constexpr const char* kUnauthenticated = "system:unauthenticated";
inline constexpr const char* kAuthenticated = "system:authenticated";
inline constexpr const char* kMasters = "system:masters";

}  // namespace strata::auth

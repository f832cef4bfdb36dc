#include "server/auth/impersonation.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace strata::auth {
namespace {

using Given = std::vector<http::Header>;

// "user[groups] needs resource/subresource ns/name, …"
std::string Read(const Given& given) {
  http::Headers headers;
  for (const auto& [name, value] : given) headers.Add(name, value);
  const auto found = FindImpersonation(headers);
  if (!found.ok()) return "error: " + std::string(base::Message(found.status()));
  if (!found->has_value()) return "none";
  const Impersonation& wanted = **found;
  std::string text =
      fmt::format("{}[{}] needs", wanted.user->name, fmt::join(wanted.user->groups, ","));
  for (const api::RequestInfo& info : wanted.needed) {
    EXPECT_EQ(info.verb, "impersonate");
    EXPECT_TRUE(info.is_resource);
    text += fmt::format(" {}{}{}:{}{}{}", info.resource, info.subresource.empty() ? "" : "/",
                        info.subresource, info.ns, info.ns.empty() ? "" : "/", info.name);
  }
  return text;
}

TEST(Impersonation, IsReadFromTheHeaders) {
  const struct {
    Given headers;
    const char* read;
  } kCases[] = {
      {{}, "none"},
      {{{"impersonate-user", ""}}, "none"},
      {{{"impersonate-user", "bob"}}, "bob[system:authenticated] needs users:bob"},
      {{{"impersonate-user", "bob"}, {"impersonate-group", "a"}, {"impersonate-group", "b"}},
       "bob[a,b,system:authenticated] needs users:bob groups:a groups:b"},
      {{{"impersonate-user", "bob"}, {"impersonate-group", "system:unauthenticated"}},
       "bob[system:unauthenticated] needs users:bob groups:system:unauthenticated"},
      {{{"impersonate-user", "system:anonymous"}},
       "system:anonymous[system:unauthenticated] needs users:system:anonymous"},
      {{{"impersonate-user", "system:serviceaccount:ns:sa"}},
       "system:serviceaccount:ns:sa[system:serviceaccounts,system:serviceaccounts:ns,"
       "system:authenticated] needs serviceaccounts:ns/sa"},
      {{{"impersonate-user", "system:serviceaccount:ns:sa"}, {"impersonate-group", "g"}},
       "system:serviceaccount:ns:sa[g,system:authenticated] needs serviceaccounts:ns/sa groups:g"},
      {{{"impersonate-user", "system:serviceaccount:ns:s:a"}},
       "system:serviceaccount:ns:s:a[system:authenticated] needs "
       "users:system:serviceaccount:ns:s:a"},
      {{{"impersonate-user", "bob"},
        {"impersonate-extra-example.com%2fscope", "x"},
        {"impersonate-uid", "7"}},
       "bob[system:authenticated] needs users:bob userextras/example.com/scope:x uids:7"},
      {{{"impersonate-group", "system:masters"}},
       "error: requested [{Group  system:masters    }] without impersonating a user"},
      {{{"impersonate-uid", "7"}},
       "error: requested [{UID  7  authentication.k8s.io/v1  }] without impersonating a user"},
  };
  for (const auto& c : kCases) EXPECT_EQ(Read(c.headers), c.read);
}

}  // namespace
}  // namespace strata::auth

#include "server/kube/api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "test/support/fake_kube.h"

namespace strata::kube {
namespace {

TEST(KubeApi, WhatIsNoPlainTextOfAUrlIsEscaped) {
  const std::pair<std::string, std::string> table[] = {
      {"", ""},
      {"ns-1.a_b~", "ns-1.a_b~"},
      {"a/b", "a%2Fb"},
      {"?x=1&y#z", "%3Fx%3D1%26y%23z"},
      {"a%2Fb", "a%252Fb"},
      {"a b\r\n", "a%20b%0D%0A"},
      {std::string("a\0b", 3), "a%00b"},
      {"\xc3\xa9\xff", "%C3%A9%FF"},
  };
  for (const auto& [text, escaped] : table) EXPECT_EQ(EscapeForUrl(text), escaped);
}

// Answers before Send returns.
class PromptKube final : public Api {
 public:
  void Send(Request request, Done done) override { done(Response{200, request.path}); }
  void Stream(Request, Data, Done) override {}
  void RunAfter(std::chrono::milliseconds, std::function<void()>) override {}
};

TEST(KubeApi, WhoMayWaitIsGivenTheAnswer) {
  PromptKube kube;
  const auto answer = SendAndWait(kube, {.path = "/x"});
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->body, "/x");
}

TEST(KubeApi, NobodyWaitsLongerThanTheRequestMayTake) {
  testing_support::FakeKube kube;
  const auto answer = SendAndWait(kube, {.path = "/x", .timeout = std::chrono::milliseconds(-990)});
  EXPECT_EQ(answer.status().code(), base::StatusCode::kDeadlineExceeded);
  kube.Answer(Response{200, "late"});  // to whom nobody listens any more
}

}  // namespace
}  // namespace strata::kube

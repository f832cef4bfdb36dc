#include "server/auth/token_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "test/support/verdicts.h"

namespace strata::auth {
namespace {

class Tokens : public testing::Test {
 protected:
  ~Tokens() override { std::filesystem::remove(path); }
  void Write(const std::string& text) {
    std::ofstream(path + ".new") << text;
    std::filesystem::rename(path + ".new", path);
  }
  base::Status Open() {
    auto opened = TokenFile::Open(path, watcher, obs::NullLogger());
    if (!opened.ok()) return opened.status();
    tokens = *std::move(opened);
    return base::OkStatus();
  }
  // The user's name, or what else the answer is.
  std::string Who(const std::string& authorization) {
    http::Request request;
    if (!authorization.empty()) request.headers.Add("authorization", authorization);
    std::string who;
    testing_support::Authenticate(*tokens, request, [&](const Authentication& r) {
      who = r.result == Authentication::Result::kUser    ? r.user->name
            : r.result == Authentication::Result::kError ? "error: " + r.error
                                                         : "nobody";
      if (r.user != nullptr) groups = r.user->groups;
    });
    return who;
  }

  const std::string path =
      (std::filesystem::temp_directory_path() / ("strata-tokens-" + std::to_string(getpid())))
          .string();
  obs::Metrics metrics;
  files::FileWatcher watcher{
      {.poll_interval = std::chrono::milliseconds(0)}, obs::NullLogger(), metrics};
  std::unique_ptr<TokenFile> tokens;
  std::vector<std::string> groups;
};

TEST_F(Tokens, KnowTheirUsersAndGroups) {
  Write("t1,alice,1,\"devs, ops\"\nt2,bob,2\n,nobody,3\n");
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(Who("Bearer t1"), "alice");
  EXPECT_THAT(groups, testing::ElementsAre("devs", "ops", "system:authenticated"));
  EXPECT_EQ(Who("Bearer t2"), "bob");
  EXPECT_EQ(Who("Bearer t3"), "error: invalid bearer token");
  EXPECT_EQ(Who(""), "nobody");
  EXPECT_EQ(Who("Basic t1"), "nobody");
}

TEST_F(Tokens, AreReadAgainWhenTheFileChangesAndABadFileIsNotTaken) {
  Write("t1,alice,1\n");
  ASSERT_TRUE(Open().ok());
  Write("t2,bob,2\n");
  watcher.Poll();
  EXPECT_EQ(Who("Bearer t1"), "error: invalid bearer token");
  EXPECT_EQ(Who("Bearer t2"), "bob");
  Write("t3,short\n");
  watcher.Poll();
  EXPECT_EQ(Who("Bearer t2"), "bob");
}

TEST_F(Tokens, ABadFileAtTheStartIsAnErrorThatSaysWhatIsWrong) {
  EXPECT_FALSE(Open().ok()) << "no file";
  Write("a,b,c\nx,y\n");
  EXPECT_THAT(std::string(base::Message(Open())),
              testing::HasSubstr(
                  "must have at least 3 columns (token, user name, user uid), found 2 in line 2"));
}

}  // namespace
}  // namespace strata::auth

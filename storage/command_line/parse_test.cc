#include "storage/command_line/parse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace strata::command_line {
namespace {

using testing::ElementsAre;

class CommandLine : public testing::Test {
 protected:
  CommandLine() {
    app.allow_extras(false);
    app.require_subcommand(1);
    CLI::App& load = *app.add_subcommand("load", "");
    load.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    load.add_option("FILE", files)->required();
    load.add_option("--namespace,-n", ns);
    CLI::App& group = *load.add_option_group("Store");
    group.add_option("--etcd-servers", servers)->delimiter(',');
    group.add_option("--key-file", keys);
    group.add_option("--data-dir", directory);
    load.add_option("--port", port)->check(CLI::Range(0, 65535));
    load.add_option("--count", count);
    load.add_option("--size", size)->check(CLI::PositiveNumber);
    load.add_flag("--raw", raw);
    app.add_subcommand("verify", "")->add_option("--data-dir", directory)->required();
  }

  // The line on stderr; empty: it was parsed.
  std::string Error(const std::vector<std::string>& arguments) {
    testing::internal::CaptureStderr();
    const auto ended = Parse(app, arguments);
    const std::string said = testing::internal::GetCapturedStderr();
    EXPECT_EQ(ended, said.empty() ? std::nullopt : std::optional<int>(2)) << said;
    return said;
  }

  CLI::App app{"", "program"};
  std::vector<std::string> files, servers, keys;
  std::string ns, directory = "d";
  int port = 0, count = 0;
  size_t size = 1;
  bool raw = false;
};

TEST_F(CommandLine, AFlagHasOneValueWhereverItStands) {
  EXPECT_EQ(Error({"load", "--etcd-servers=http://e:1", "--key-file=k", "a.yaml", "b.yaml"}), "");
  EXPECT_THAT(servers, ElementsAre("http://e:1"));
  EXPECT_THAT(keys, ElementsAre("k"));
  EXPECT_THAT(files, ElementsAre("a.yaml", "b.yaml"));
}

TEST_F(CommandLine, AValueBehindItsFlagIsOneToo) {
  EXPECT_EQ(Error({"load", "--etcd-servers", "http://e:1", "a.yaml", "--key-file", "k", "b.yaml"}),
            "");
  EXPECT_THAT(servers, ElementsAre("http://e:1"));
  EXPECT_THAT(files, ElementsAre("a.yaml", "b.yaml"));
}

TEST_F(CommandLine, ListsGrowAndAreCutAtCommasAndOfTheRestTheLastCounts) {
  EXPECT_EQ(Error({"load", "a", "--etcd-servers=1,2", "--etcd-servers=3", "--key-file=k,l",
                   "--key-file=m", "--port=1", "--port=2", "-n=x", "-ny"}),
            "");
  EXPECT_THAT(servers, ElementsAre("1", "2", "3"));
  EXPECT_THAT(keys, ElementsAre("k,l", "m"));
  EXPECT_EQ(port, 2);
  EXPECT_EQ(ns, "y");
}

TEST_F(CommandLine, OfAFlagThatHasToBeGivenTheLastCountsToo) {
  EXPECT_EQ(Error({"verify", "--data-dir=a", "--data-dir=b"}), "");
  EXPECT_EQ(directory, "b");
}

TEST_F(CommandLine, NumbersAndSwitchesAreSpelledAsForGo) {
  EXPECT_EQ(Error({"load", "a", "--count=-0x10", "--size", "18446744073709551615", "--raw=T"}), "");
  EXPECT_EQ(count, -16);
  EXPECT_EQ(size, 18446744073709551615u);
  EXPECT_TRUE(raw);
  EXPECT_EQ(Error({"load", "a", "--count=+7", "--raw=F"}), "");
  EXPECT_EQ(count, 7);
  EXPECT_FALSE(raw);
}

TEST_F(CommandLine, AnEmptyValueIsOne) {
  EXPECT_EQ(Error({"load", "--data-dir=", "--namespace=", "a.yaml", "b.yaml"}), "");
  EXPECT_EQ(directory, "");
  EXPECT_THAT(files, ElementsAre("a.yaml", "b.yaml"));
}

TEST_F(CommandLine, MistakesAreSaidInOneLineThatBeginsWithTheFlag) {
  const struct {
    std::vector<std::string> arguments;
    std::string said;
  } kCases[] = {
      {{}, "a command is missing: load, verify; see program --help"},
      {{"lod"}, "lod: unknown command; did you mean load?"},
      {{"frobnicate"}, "frobnicate: unknown command; see program --help"},
      {{"verify", "--datadir=d"}, "--datadir: unknown flag; did you mean --data-dir?"},
      {{"verify", "--data_dir", "d"}, "--data_dir: unknown flag; did you mean --data-dir?"},
      {{"verify", "-data-dir=d"}, "-data-dir: unknown flag; did you mean --data-dir?"},
      {{"load", "a", "--etcd-server=x"},
       "--etcd-server: unknown flag; did you mean --etcd-servers?"},
      {{"load", "a", "--frobnicate"}, "--frobnicate: unknown flag; see program load --help"},
      {{"load", "a", "-x"}, "-x: unknown flag; see program load --help"},
      {{"--data-dir=d", "verify"},
       "--data-dir: it stands behind the command, as in program load --data-dir"},
      {{"verify"}, "--data-dir is required"},
      {{"load"}, "FILE is required"},
      {{"load", "a", "--port=x"}, "--port: x isn't a whole number"},
      {{"load", "a", "--port=70000"}, "--port: Value 70000 not in range 0 to 65535"},
      {{"load", "a", "--count=x"}, "--count: x isn't a whole number"},
      {{"load", "a", "--count="}, "--count:  isn't a whole number"},
      {{"load", "a", "--count", " 5"}, "--count:  5 isn't a whole number"},
      {{"load", "a", "--count=08"}, "--count: 08 isn't a whole number"},
      {{"load", "a", "--count=9223372036854775808"},
       "--count: 9223372036854775808 isn't a whole number"},
      {{"load", "a", "--count=5000000000"}, "--count: 5000000000 can't be used"},
      {{"load", "a", "--size=-1"}, "--size: -1 isn't a whole number, 0 or more"},
      {{"load", "a", "--size=18446744073709551616"},
       "--size: 18446744073709551616 isn't a whole number, 0 or more"},
      {{"load", "a", "--size=0"}, "--size: Value 0 is too small"},
      {{"load", "a", "--raw=5"}, "--raw: 5 isn't true or false"},
      {{"load", "a", "--raw="}, "--raw:  isn't true or false"},
      {{"load", "a", "--port"}, "--port: a value is missing"},
      {{"load", "a", "--raw=perhaps"}, "--raw: perhaps isn't true or false"},
      {{"verify", "--data-dir=d", "x"},
       "The following argument was not expected: x; values of flags are given as --flag=VALUE"},
      {{"verify", "--datadir=a\nb"}, "--datadir: unknown flag; did you mean --data-dir?"},
  };
  for (const auto& c : kCases) {
    app.clear();
    EXPECT_EQ(Error(c.arguments), "program: " + c.said + "\n");
  }
}

}  // namespace
}  // namespace strata::command_line

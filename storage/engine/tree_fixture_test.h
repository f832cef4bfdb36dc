// The tables of a store in a directory of their own, without a store over them.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "lib/obs/log.h"
#include "lib/obs/metrics.h"
#include "storage/engine/alarms.h"
#include "storage/engine/answer_bytes.h"
#include "storage/engine/format.h"
#include "storage/engine/reads.h"
#include "storage/engine/tree/environment.h"
#include "test/support/temp_dir.h"

namespace strata::engine {

class TreeFixture {
 public:
  // `most_answer_bytes` bounds each answer.
  explicit TreeFixture(const tree::Environment::Options& options = {},
                       size_t most_answer_bytes = size_t{1} << 30)
      : budget_(most_answer_bytes, most_answer_bytes, metrics_) {
    auto opened = tree::Environment::Open(dir_.path() + "/records.mdb", options);
    EXPECT_TRUE(opened.ok()) << opened.status();
    env_ = *std::move(opened);
    EXPECT_TRUE(AdoptFormat(*env_).ok());
  }

  tree::Environment& env() { return *env_; }
  Alarms& alarms() { return alarms_; }
  Reads reads() { return Reads(*env_, alarms_, /*max_txn_ops=*/128); }
  AnswerBytes NewAnswer() { return {budget_, 0}; }

  // "key=value key=value", or why not.
  std::string ReadAll(Revision revision = 0) {
    AnswerBytes answer = NewAnswer();
    const auto all = reads().Range(
        {.key = std::string("\0", 1), .range_end = std::string("\0", 1), .revision = revision},
        answer);
    if (!all.ok()) return std::string(base::Message(all.status()));
    std::string text;
    for (const KeyValue& kv : all->kvs) text += (text.empty() ? "" : " ") + kv.key + "=" + kv.value;
    return text;
  }

 private:
  testing_support::TempDir dir_;
  obs::Metrics metrics_;
  AnswerBudget budget_;
  Alarms alarms_{obs::NullLogger(), metrics_};
  std::unique_ptr<tree::Environment> env_;
};

}  // namespace strata::engine

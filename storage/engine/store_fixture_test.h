// A store in a directory of its own, and short words for what tests do with it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/clock.h"
#include "lib/obs/log.h"
#include "lib/obs/metrics.h"
#include "storage/engine/store.h"
#include "test/support/temp_dir.h"

namespace strata::engine {

// As a key and as an end: every key (etcd rpc.proto RangeRequest.range_end).
inline const std::string kAll("\0", 1);

class StoreFixture {
 public:
  explicit StoreFixture(Options options = {}) : options_(std::move(options)) { Open(); }

  void Open() {
    auto opened = Store::Open(dir_.path(), options_, clock_, obs::NullLogger(), metrics_);
    ASSERT_TRUE(opened.ok()) << opened.status();
    store_ = *std::move(opened);
  }
  void Close() { store_.reset(); }
  void Reopen() {
    Close();
    Open();
  }

  Store& operator*() { return *store_; }
  Store* operator->() { return store_.get(); }
  const std::string& path() const { return dir_.path(); }
  base::FakeClock& clock() { return clock_; }
  std::string Metrics() const { return metrics_.Text(); }

  Revision Put(const std::string& key, const std::string& value, int64_t lease = 0) {
    auto result = store_->Put({.key = key, .value = value, .lease = lease});
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? result->revision : 0;
  }
  Revision Delete(const std::string& key, const std::string& end = "") {
    auto result = store_->Delete({.key = key, .range_end = end});
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? result->revision : 0;
  }
  void Compact(Revision revision) {
    auto result = store_->Compact({.revision = revision, .physical = true});
    EXPECT_TRUE(result.ok()) << result.status();
  }

  // "key=value key=value", and "+" if there are more.
  std::string Read(const RangeRequest& request) {
    auto result = store_->Range(request);
    if (!result.ok()) return std::string(base::Message(result.status()));
    std::string text;
    for (const KeyValue& kv : result->kvs) {
      text += (text.empty() ? "" : " ") + kv.key + "=" + kv.value;
    }
    return text + (result->more ? " +" : "");
  }
  std::string ReadAll(Revision revision = 0) {
    return Read(
        {.key = std::string("\0", 1), .range_end = std::string("\0", 1), .revision = revision});
  }

 private:
  testing_support::TempDir dir_;
  const Options options_;
  base::FakeClock clock_;
  obs::Metrics metrics_;
  std::unique_ptr<Store> store_;
};

}  // namespace strata::engine

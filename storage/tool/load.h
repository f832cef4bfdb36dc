// `strata-storage load`: reads documents and writes the Images and ImageStreams among them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/status.h"
#include "storage/tool/console.h"
#include "storage/tool/parse.h"
#include "storage/tool/record_store.h"
#include "storage/tool/spool.h"

namespace strata::tool {

struct LoadOptions {
  std::vector<std::string> inputs{};  // files, directories, "-"; must not be empty
  std::string default_namespace{};    // of streams that don't say theirs; empty: that is an error
  size_t max_input_bytes = size_t{64} << 30;  // of one file, unpacked
};

struct LoadCounts {
  int64_t written = 0, unchanged = 0, bad = 0;
  std::map<std::string, int64_t> skipped;  // documents of other kinds
};

// Images are written as they come; streams after all of them, so that whoever watches never sees a
// stream whose images are yet to come. A record is written only if it differs from what the store
// has, whatever the form that has; of records with the same name the last wins. Bad documents,
// warnings and unreadable inputs are reported to the console and counted as bad. Not thread-safe.
class Loader {
 public:
  Loader(RecordStore& store, const LoadOptions& options, const base::Clock& clock,
         Console& console);
  ~Loader();

  // An error is the store's: nothing more could be written. Records are counted up to there.
  base::Status Run();

  const LoadCounts& counts() const { return counts_; }

 private:
  struct Pending;

  base::Status LoadInput(const std::string& path);
  base::Status Take(std::string_view input, size_t line, ParseResult& result);
  base::Status Hold(const Pending& pending);
  base::Status LoadHeldStreams();
  base::Status Add(Pending pending);
  base::Status Flush();
  base::Status WriteBatch(size_t begin, size_t end);
  base::StatusOr<bool> TryBatch(size_t begin, size_t end);
  void Bad(std::string_view where, std::string_view reason);
  void ShowProgress();

  RecordStore& store_;
  const LoadOptions& options_;
  const base::Clock& clock_;
  Console& console_;
  LoadCounts counts_;
  int64_t warnings_ = 0;

  std::string input_;  // being read
  size_t input_bytes_ = 0, input_done_ = 0;
  std::vector<Pending> batch_;
  size_t batch_bytes_ = 0;
  Spool streams_;
  int64_t held_ = 0;
};

}  // namespace strata::tool

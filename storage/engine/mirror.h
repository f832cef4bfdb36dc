// The records of another store, at that one's revisions: for whoever reads them here instead of
// there.
//
// The file is a cache. It is made anew, nothing is logged or synced, and it goes with its object.
// What is read of it is what is read of a store: View.
#pragma once

#include <absl/functional/function_ref.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "lib/base/status.h"
#include "storage/engine/tree/environment.h"
#include "storage/engine/types.h"
#include "storage/engine/view.h"

namespace strata::engine {

// One thread writes at a time; any thread reads beside it. After an error of a write it is of no
// more use: ResourceExhausted is a full disk.
class Mirror {
 public:
  // A key as it became at a revision; without a value it was deleted. Keys fit (layout.h).
  struct Version {
    std::string key;
    Revision revision = 0;
    std::optional<std::string> value;
  };

  // No other that lives has this path.
  static base::StatusOr<std::unique_ptr<Mirror>> Create(const std::string& path);
  Mirror(const Mirror&) = delete;
  Mirror& operator=(const Mirror&) = delete;
  ~Mirror();

  // A part of what there was at one revision: each key once, in any order. All parts come before
  // BeginHistory, and each is one transaction.
  base::Status AddListed(std::span<const Version> versions);
  // They were of `revision`: what follows is history.
  base::Status BeginHistory(Revision revision);
  // In ascending order, and all changes of a revision at a time. One transaction.
  base::Status Append(std::span<const Version> changes);

  // Forgets what was before `revision`, if that isn't forgotten yet, and gives back the space of up
  // to `max_changes` of the changes that are. True if there is no more to give back.
  base::StatusOr<bool> Forget(Revision revision, size_t max_changes);

  // `newest` is what the other store is known to have come to, with all changes up to it appended.
  // DataLoss if what was read isn't to be believed.
  base::Status Look(Revision newest, absl::FunctionRef<base::Status(const View&)> look) const;

  // Keys that exist at the newest revision.
  int64_t live() const { return live_; }
  base::StatusOr<tree::Usage> Measure() const { return env_->Measure(); }
  // Nobody else finds the file from now on, whose space is the system's again when this ends,
  // however it ends.
  void Hide();

 private:
  explicit Mirror(std::unique_ptr<tree::Environment> env) : env_(std::move(env)) {}

  const std::unique_ptr<tree::Environment> env_;
  uint32_t listed_ = 0;
  std::atomic<int64_t> live_ = 0;
  bool named_ = true;  // the file can be found
};

}  // namespace strata::engine

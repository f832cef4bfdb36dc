// `strata-storage recover`: a data directory of what can be read of a damaged one.
#pragma once

#include <absl/functional/function_ref.h>

#include <string>
#include <string_view>

#include "lib/base/clock.h"
#include "lib/base/revision.h"
#include "lib/base/status.h"
#include "storage/engine/recover.h"

namespace strata::tool {

struct RecoverOptions {
  base::Revision bump_revision = 0;  // as RestoreOptions::bump_revision
  bool dry_run = false;
};

// Makes `directory`, which must not be there or be empty, a store of what can be read of the one in
// `damaged`, which stays as it is. All of the new one is verified before it says yes; after an
// error nothing is left behind, nor after a dry run. `tell` gets a line for whatever is given up.
base::StatusOr<engine::Recovered> Recover(const std::string& damaged, const std::string& directory,
                                          const RecoverOptions& options, const base::Clock& clock,
                                          absl::FunctionRef<void(std::string_view line)> tell);

}  // namespace strata::tool

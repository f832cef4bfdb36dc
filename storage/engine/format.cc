#include "storage/engine/format.h"

#include <fmt/format.h>

#include <optional>

#include "storage/engine/layout.h"
#include "storage/engine/meta.h"
#include "storage/engine/view.h"

namespace strata::engine {

base::Status AdoptFormat(tree::Environment& env) {
  STRATA_ASSIGN_OR_RETURN(auto txn, env.Begin());
  STRATA_ASSIGN_OR_RETURN(const auto stored, txn.GetBare(tree::Table::kMeta, kMetaFormat));
  const auto format = stored ? ParseNumber(*stored) : std::optional(kFormatVersion);
  if (!format || *format < kOldestFormatVersion || *format > kFormatVersion) {
    return base::FailedPreconditionError(fmt::format(
        "the store has format {}, and this program knows format {}: use the version of Strata "
        "that wrote it, there `dump` it, and `load` that here",
        format ? fmt::to_string(*format) : "unknown", kFormatVersion));
  }
  if (stored && *format == kFormatVersion) return base::OkStatus();
  if (!stored) {
    STRATA_ASSIGN_OR_RETURN(const View found, View::Of(txn));
    if (found.revision() > 1) {
      return base::FailedPreconditionError(
          "the store was never finished: restore the snapshot again, into an empty directory");
    }
    STRATA_RETURN_IF_ERROR(PutNewIds(txn));
  }
  STRATA_RETURN_IF_ERROR(PutFormat(txn));
  return txn.Commit();
}

}  // namespace strata::engine

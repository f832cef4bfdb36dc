#include "storage/tool/recover.h"

#include <utility>

#include "storage/tool/aside.h"

namespace strata::tool {

base::StatusOr<engine::Recovered> Recover(const std::string& damaged, const std::string& directory,
                                          const RecoverOptions& options, const base::Clock& clock,
                                          absl::FunctionRef<void(std::string_view line)> tell) {
  engine::Recovered recovered;
  const auto fill = [&](const std::string& aside) -> base::Status {
    auto made = engine::Recover(damaged, aside, options.bump_revision, options.dry_run, tell);
    // What LMDB says of the disk names nothing.
    if (absl::IsInternal(made.status()) || absl::IsResourceExhausted(made.status()))
      return base::Annotate(made.status(), directory);
    STRATA_ASSIGN_OR_RETURN(recovered, std::move(made));
    return options.dry_run ? base::OkStatus() : OpenAndVerify(aside, clock);
  };
  STRATA_RETURN_IF_ERROR(options.dry_run ? LookAside(directory, fill) : MakeAside(directory, fill));
  return recovered;
}

}  // namespace strata::tool

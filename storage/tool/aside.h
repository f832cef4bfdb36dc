// Making a data directory that is whole, or isn't there.
#pragma once

#include <absl/functional/function_ref.h>

#include <string>

#include "lib/base/clock.h"
#include "lib/base/status.h"

namespace strata::tool {

// Makes `directory`, which must not be there or be empty, the store that `fill` makes in a
// directory of its own: whatever ends this, what is left is no store that somebody could serve.
// After an error nothing is left behind.
base::Status MakeAside(const std::string& directory,
                       absl::FunctionRef<base::Status(const std::string& aside)> fill);

// Gives `look` such a directory, and takes it away.
base::Status LookAside(const std::string& directory,
                       absl::FunctionRef<base::Status(const std::string& aside)> look);

// Opens the store that was made there, and reads all of it.
base::Status OpenAndVerify(const std::string& directory, const base::Clock& clock);

}  // namespace strata::tool

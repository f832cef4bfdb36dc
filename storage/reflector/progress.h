// Which servers' notifications of a watch's progress can't be believed.
#pragma once

#include <string>

namespace strata::reflector {

// Whether etcd of this version, "3.5.9", is known to send progress notifications before the events
// that they cover (etcd issue 15220 and its backports).
bool ProgressIsKnownWrong(const std::string& version);

}  // namespace strata::reflector

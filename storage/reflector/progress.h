// Which servers' notifications of a watch's progress can't be believed.
#pragma once

#include <cstdint>
#include <string>

namespace strata::reflector {

// Whether etcd of this version, "3.5.9", is known to send progress notifications before the events
// that they cover (etcd issue 15220 and its backports).
bool ProgressIsKnownWrong(const std::string& version);

// Whether those of a server can be believed. One that names a cluster is an etcd: it has to say, as
// etcds do, which. Of others (kine, which may tell no version) it is enough that nothing is known.
bool ProgressCanBeTrusted(const std::string& version, uint64_t cluster_id);

}  // namespace strata::reflector

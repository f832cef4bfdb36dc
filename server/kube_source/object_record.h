// Objects of image.openshift.io/v1 as an API server tells them, made records. Pure.
#pragma once

#include <string>
#include <string_view>

#include "lib/base/revision.h"
#include "lib/base/status.h"
#include "storage/records/record.h"

namespace strata::kube_source {

// `object`, an object's protobuf, as a record that is present at its own resourceVersion, which it
// keeps. What an API server fills in when it answers (the repositories of an image stream) stays as
// well: whoever presents the record fills it in anew. An error: it has no name, no namespace where
// it needs one, no revision, or one of them can't be.
base::StatusOr<records::Change> RecordOf(records::Kind kind, std::string object);

// Of an object or a list; an error if it is none.
base::StatusOr<base::Revision> RevisionOf(std::string_view resource_version);

// Whether there may be an object of that name and namespace.
bool CanExist(const records::Id& id);

// Of an object among those of its kind.
std::string KeyOf(const records::Id& id);

// Where the objects of a kind are, and where one of them is.
std::string PathOf(records::Kind kind);
std::string PathOf(const records::Id& id);

}  // namespace strata::kube_source

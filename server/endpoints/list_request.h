// What lists and watches have in common: what is asked, and which records that are.
#pragma once

#include <memory>
#include <variant>

#include "server/api/list_options.h"
#include "server/endpoints/call.h"
#include "server/endpoints/freshness.h"
#include "server/objects/list_reader.h"

namespace strata::endpoints {

std::variant<api::Error, api::ListOptions> ListOptionsOf(const Call& call);

// Goes on with `handler` when the index is as new as the call's options want it.
void WaitForList(std::shared_ptr<Call> call, Freshness& freshness, FreshHandler& handler);

// At which revision they are read, when the index has come to `current`.
base::Revision RevisionOf(const api::ListOptions& options, base::Revision current);

objects::ListQuery QueryOf(const Call& call, base::Revision revision);

// Why a list can't be read.
api::Error ListError(const Call& call, const base::Status& status);

}  // namespace strata::endpoints

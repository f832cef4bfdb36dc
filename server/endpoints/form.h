// In which form an object is answered: what the client takes, and the headers that say what it got.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/transport/http/message.h"
#include "server/endpoints/call.h"
#include "server/layers/answer.h"

namespace strata::endpoints {

// Nothing: none that is served, and the call has failed.
std::optional<layers::Form> NegotiateForm(Call& call);

// Whether the call has failed because one object has no list's form. The reference looks for the
// object before.
bool RefuseListForm(Call& call, const layers::Form& form);

// Answers with the whole body, compressed if it is large and the client takes that.
void RespondIn(Call& call, const layers::Form& form, std::string body,
               const std::vector<std::string>& warnings = {});

// A response whose body, which isn't in it yet, has that form.
http::Response ResponseIn(wire::MediaType type, bool gzipped);

}  // namespace strata::endpoints

// Headers that every answer of a Kubernetes API has, and those that say more than the body.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/transport/http/message.h"

namespace strata::api {

// The request's Audit-ID if it sent a fit one, which a front proxy does; otherwise a new random
// UUID.
std::string AuditId(const http::Headers& request);

// The trace that `traceparent` names, 32 hexadecimal digits (W3C Trace Context §3.2); empty if it
// is malformed.
std::string_view TraceId(std::string_view traceparent);

// The `traceparent` to send along with what is asked for the sake of this request: nothing but what
// is understood of what it sent, as of the version that we know. Empty: none, or malformed.
std::string TraceParent(const http::Headers& request);

// Appends `Warning: 299 - "…"` for each (k8s.io/apimachinery pkg/util/net NewWarningHeader).
void AddWarnings(const std::vector<std::string>& warnings, http::Headers& headers);

}  // namespace strata::api

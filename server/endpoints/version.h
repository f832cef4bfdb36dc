// GET /version: which build serves, in the form of k8s.io/apimachinery pkg/version Info.
#pragma once

#include "lib/transport/http/message.h"

namespace strata::endpoints {

// Always the same; indented JSON whatever the client accepts, as the reference answers.
http::Response AnswerVersion();

}  // namespace strata::endpoints

// A body that workers make piece by piece, while the client takes what is made.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "lib/base/status.h"
#include "lib/transport/http/body.h"
#include "server/endpoints/call.h"
#include "server/endpoints/lane.h"

namespace strata::endpoints {

// Makes the next piece, on a worker; empty: that was all. An error breaks the body off.
using NextPiece = std::function<base::StatusOr<std::string>()>;

// Begins with `first`, which isn't empty. One piece is made ahead: a slow client costs two. `next`
// is destroyed with the body, or by the worker that is at it, whom `stop` tells then that nobody
// waits any more.
std::unique_ptr<http::Body> BodyOf(std::string first, NextPiece next, std::stop_source stop,
                                   std::shared_ptr<Call> call, const Lane& lane);

}  // namespace strata::endpoints

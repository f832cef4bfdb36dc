#include "server/endpoints/call.h"

namespace strata::endpoints {

wire::Preference Call::preference() const {
  const std::string* accept = request.headers.Find("accept");
  const std::string* user_agent = request.headers.Find("user-agent");
  return {.accept = accept == nullptr ? std::string_view() : *accept,
          .user_agent = user_agent == nullptr ? std::string_view() : *user_agent,
          .pretty = info->query.Find("pretty")};
}

}  // namespace strata::endpoints

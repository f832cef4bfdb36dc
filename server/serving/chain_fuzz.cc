// Any request to the whole chain: it is answered once, in a form that is valid, endpoints are
// reached by nobody but whom they are allowed to, and a credential is told to nobody.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "lib/base/ascii.h"
#include "server/registry/image_v1.h"
#include "server/serving/chain.h"
#include "test/fuzz/input.h"

namespace {

using namespace strata;

// The only one who may do anything has it.
constexpr std::string_view kToken = "SECRET-OF-ALICE";
// As a WebSocket's protocol may say it.
constexpr std::string_view kTokenInBase64 = "U0VDUkVULU9GLUFMSUNF";

class Tokens final : public auth::Authenticator {
 public:
  std::optional<auth::Authentication> Authenticate(const http::Request& request,
                                                   Later) const override {
    const auth::BearerToken bearer = auth::FindBearerToken(request.headers);
    auto user = std::make_shared<auth::UserInfo>();
    user->name = bearer.token.empty()     ? auth::kAnonymous
                 : bearer.token == kToken ? "alice"
                                          : "nobody";
    return auth::Authentication{auth::Authentication::Result::kUser, std::move(user), "", {}};
  }
};

class OnlyAlice final : public auth::Authorizer {
 public:
  std::optional<auth::Decision> Authorize(const auth::UserInfo& user, const api::RequestInfo&,
                                          Later) const override {
    using Verdict = auth::Decision::Verdict;
    return auth::Decision{user.name == "alice" ? Verdict::kAllow : Verdict::kNoOpinion, ""};
  }
};

void CheckIsHidden(std::string_view text) {
  if (text.find(kToken) != text.npos) std::abort();
}

bool HasControls(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

struct World {
  World() {
    health.Add("bad", endpoints::Health::Scope::kReadiness,
               [] { return base::UnavailableError("not yet"); });
    router.AddHealth(health);
    router.AddVersion();
    router.AddDiscovery(discovery);
    router.AddOpenApi(openapi);
    const auto serve = [this](const std::shared_ptr<endpoints::Call>& call) { Serve(*call); };
    router.Serve(registry::ImageStreamLayers(), "get", serve);
    for (const registry::Resource* resource : {&registry::ImageStreams(), &registry::Images()}) {
      for (const char* verb : {"get", "list", "watch"}) router.Serve(*resource, verb, serve);
    }
  }

  void Serve(endpoints::Call& call) {
    ++served;
    if (call.user->name != "alice" || call.resource == nullptr) std::abort();
    for (const http::Header& header : call.request.headers) {
      CheckIsHidden(header.value);
      if (header.name.starts_with("impersonate-") || header.name.starts_with("x-remote-"))
        std::abort();
    }
    http::Response response;
    response.headers.Add("content-type", "application/json");
    response.body = std::make_shared<const std::string>("{}");
    call.Respond(std::move(response));
  }

  const base::FakeClock clock;
  obs::Metrics metrics;
  const obs::Logger log{obs::LogFormat::kJson, 10, clock, [](std::string_view line) {
                          CheckIsHidden(line);
                          if (HasControls(line) || !line.ends_with('}')) std::abort();
                        }};
  const registry::Groups groups{&registry::ImageV1()};
  const api::Discovery discovery{groups};
  const api::OpenApi openapi{groups};
  endpoints::Health health;
  endpoints::Router router{groups};
  const Tokens tokens;
  const OnlyAlice authorizer;
  size_t served = 0;
  serving::Chain chain{{}, tokens, authorizer, router, clock, log, metrics};
};

class Client final : public http::Exchange {
 public:
  explicit Client(std::optional<http::Response>& answer) : answer_(answer) {}
  void Respond(http::Response response) override {
    if (answer_) std::abort();
    answer_ = std::move(response);
  }
  bool Admit(http::Response&, std::string_view, base::Shares::Claim) override { return true; }
  bool Occupy(std::string_view, base::Shares::Claim) override { return true; }
  void Post(std::function<void()> task) override { task(); }
  void Resume() override {}
  void Abandon() override {}
  void OnGone(std::function<void()>) override {}

 private:
  std::optional<http::Response>& answer_;
};

http::Request RequestOf(fuzz::Input& input) {
  constexpr std::array kMethods = {"GET", "HEAD", "POST", "DELETE", "OPTIONS"};
  http::Request request;
  const uint8_t mode = input.Byte(), method = input.Byte();
  request.version = (mode & 2) != 0 ? http::Version::kHttp2 : http::Version::kHttp11;
  request.method = method == 0xff ? std::string(input.Text()) : kMethods[method % kMethods.size()];
  request.target = input.Text();
  if ((mode & 1) != 0) request.headers.Add("authorization", "Bearer " + std::string(kToken));
  while (!input.empty()) {
    std::string name = base::Lower(input.Text());
    request.headers.Add(std::move(name), std::string(input.Text()));
  }
  request.peer = std::make_shared<const http::Peer>(http::Peer{"192.0.2.1:1", {}});
  return request;
}

void CheckAnswer(const http::Response& answer) {
  if (answer.status < 200 || answer.status > 599) std::abort();
  if (answer.status / 100 == 3 && answer.status != 304) std::abort();
  bool identified = false;
  for (const http::Header& header : answer.headers) {
    CheckIsHidden(header.value);
    if (HasControls(header.name) || HasControls(header.value)) std::abort();
    identified = identified || header.name == "audit-id";
  }
  if (!identified) std::abort();
  if (answer.body == nullptr) return;
  CheckIsHidden(*answer.body);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static World world;
  // Who has no token by the mode has none by chance.
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const bool has_token = (size > 0 && (data[0] & 1) != 0) || all.find(kToken) != all.npos ||
                         all.find(kTokenInBase64) != all.npos;
  fuzz::Input input(data, size);
  const size_t served = world.served;
  std::optional<http::Response> answer;
  http::Request request = RequestOf(input);
  // A method or a path that has the token in it is told in errors, as upstream tells it.
  for (const std::string& told : {request.method, request.target})
    if (told.find(kToken) != told.npos) return 0;
  for (const http::Header& header : request.headers)
    if (header.name != "authorization" && header.value.find(kToken) != header.value.npos) return 0;
  world.chain.Serve(std::move(request), std::make_unique<Client>(answer));
  if (!answer) std::abort();
  CheckAnswer(*answer);
  if (world.served != served && !has_token) std::abort();
  return 0;
}

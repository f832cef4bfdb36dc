// Whatever kube-apiserver answers to a TokenReview and to a SubjectAccessReview: who asked is
// answered once, nobody without a name is somebody, and nothing is allowed by what is no answer.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "server/auth/subject_access_review.h"
#include "server/auth/token_review.h"
#include "test/fuzz/input.h"
#include "test/support/fake_kube.h"

namespace {

using namespace strata;
using testing_support::FakeKube;

constexpr std::chrono::nanoseconds kNotKept{0};

struct Reviews {
  base::FakeClock clock;
  obs::Metrics metrics;
  FakeKube api;
  const auth::TokenReview tokens{api, {.ttl = kNotKept}, clock, metrics};
  const auth::TokenReview tokens_for_us{
      api, {.ttl = kNotKept, .audiences = {"strata"}}, clock, metrics};
  const auth::SubjectAccessReview access{
      api,
      {.allowed_ttl = kNotKept, .denied_ttl = kNotKept, .all_names_first = false},
      clock,
      metrics};
};

kube::Response AnswerOf(fuzz::Input& input) {
  const uint8_t status = input.Byte();
  return {status % 2 == 0 ? 201 : 2 * status, std::string(input.Rest())};
}

// What becomes of the request's bearer of a token.
auth::Authentication Review(FakeKube& api, const auth::TokenReview& review,
                            const kube::Response& answer) {
  http::Request request;
  request.headers.Add("authorization", "Bearer token");
  auth::Authentication result;
  int answers = 0;
  const auto later = [&]() -> auth::Authenticator::Done {
    return [&](auth::Authentication said) {
      result = std::move(said);
      ++answers;
    };
  };
  if (review.Authenticate(request, later) || api.pending.size() != 1) std::abort();
  api.Answer(answer);
  if (answers != 1) std::abort();
  return result;
}

bool IsSomebody(const auth::Authentication& result) {
  if (result.result != auth::Authentication::Result::kUser) {
    if (result.user != nullptr || result.error.empty()) std::abort();
    return false;
  }
  if (result.user == nullptr || result.user->name.empty()) std::abort();
  return true;
}

auth::Decision Decide(Reviews& reviews, const kube::Response& answer) {
  static const auto info = api::ParseRequestInfo(
      "GET", "/apis/image.openshift.io/v1/namespaces/ns/imagestreams/app/layers");
  auth::Decision decision;
  int answers = 0;
  const auto later = [&]() -> auth::Authorizer::Done {
    return [&](auth::Decision said) {
      decision = std::move(said);
      ++answers;
    };
  };
  if (reviews.access.Authorize({"u", "", {"g"}, {}}, *info, later)) std::abort();
  reviews.api.Answer(answer);
  if (answers != 1) std::abort();
  return decision;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Reviews reviews;
  fuzz::Input input(data, size);
  const kube::Response answer = AnswerOf(input);
  const bool known = IsSomebody(Review(reviews.api, reviews.tokens, answer));
  const bool for_us = IsSomebody(Review(reviews.api, reviews.tokens_for_us, answer));
  if (for_us && !known) std::abort();
  const auth::Decision decision = Decide(reviews, answer);
  const bool allowed = decision.verdict == auth::Decision::Verdict::kAllow;
  if (allowed && (known || answer.status / 100 != 2 || !decision.error.empty())) std::abort();
  return 0;
}

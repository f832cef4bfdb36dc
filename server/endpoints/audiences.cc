#include "server/endpoints/audiences.h"

#include <absl/base/thread_annotations.h>
#include <fmt/format.h>

#include <deque>
#include <optional>
#include <utility>

#include "lib/base/mutex.h"
#include "server/endpoints/undecided.h"

namespace strata::endpoints {

// What is asked for one request. Lives until the last answer.
struct Audiences::Asking {
  // Of one namespace; the empty one stands for all.
  struct Question {
    std::string ns;
    api::RequestInfo request;
  };

  // The next one to ask; null if there is none now. `ended`: all is told; once.
  Question* Next(size_t at_a_time, base::MonotonicTime now, bool& ended) ABSL_LOCKS_EXCLUDED(mu) {
    base::MutexLock lock(&mu);
    const bool more = next < questions.size() && now < until && !stop.stop_requested();
    ended = !more && in_flight == 0 && !told;
    told |= ended;
    if (!more || in_flight >= at_a_time) {
      going_on = false;
      return nullptr;
    }
    ++in_flight;
    return &questions[next++];
  }

  void Take(const Question& question, const auth::Decision& decision) ABSL_LOCKS_EXCLUDED(mu) {
    base::MutexLock lock(&mu);
    --in_flight;
    const bool allowed = decision.verdict == auth::Decision::Verdict::kAllow;
    if (allowed) {
      answer.audience.sees_all |= question.ns.empty();
      answer.audience.namespaces.insert(question.ns);
    }
    answer.is_partial |= !decision.error.empty();
    if (!allowed && question.ns.empty()) answer.undecided = decision.error;
  }

  std::shared_ptr<const auth::UserInfo> user;
  std::deque<Question> questions;
  base::MonotonicTime until;
  std::stop_token stop;
  Done done;

  base::Mutex mu;
  bool going_on ABSL_GUARDED_BY(mu) = false;  // somebody asks the next one
  size_t next ABSL_GUARDED_BY(mu) = 0;
  size_t in_flight ABSL_GUARDED_BY(mu) = 0;
  bool told ABSL_GUARDED_BY(mu) = false;
  Answer answer ABSL_GUARDED_BY(mu);
};

Audiences::Audiences(const auth::Authorizer& authorizer, const registry::Resource& shown_by,
                     const Options& options, const base::Clock& clock, const obs::Logger& log,
                     obs::Metrics& metrics)
    : authorizer_(authorizer),
      shown_by_(shown_by),
      options_(options),
      clock_(clock),
      log_(log),
      asked_(metrics.AddCounter("strata_audience_questions_total",
                                "Questions whether a user may see the image streams of a "
                                "namespace.")),
      partial_(
          metrics.AddCounter("strata_partial_audiences_total",
                             "Requests for which not every namespace could be decided about.")) {}

std::string Audiences::WhatShowsAll() const {
  return fmt::format("only who may get {} of {} in all namespaces is shown everything",
                     shown_by_.name, shown_by_.group->name());
}

void Audiences::FailUndecided(Call& call, const std::string& why) const {
  endpoints::FailUndecided(call, why, log_);
}

std::shared_ptr<Audiences::Asking> Audiences::Begin(const Call& call,
                                                    std::vector<std::string> namespaces,
                                                    Done done) const {
  auto asking = std::make_shared<Asking>();
  asking->user = call.user;
  asking->until = clock_.Now() + options_.patience;
  asking->done = std::move(done);
  for (std::string& ns : namespaces) {
    api::RequestInfo request;
    request.is_resource = true;
    request.verb = "get";
    request.api_group = shown_by_.group->name();
    request.api_version = shown_by_.group->version();
    request.ns = ns;
    request.resource = std::string(shown_by_.parent());
    request.subresource = std::string(shown_by_.subresource());
    request.traceparent = call.info->traceparent;
    asking->questions.push_back({std::move(ns), std::move(request)});
  }
  return asking;
}

void Audiences::AskForAll(const Call& call, Done done) const {
  GoOn(Begin(call, {""}, std::move(done)));
}

void Audiences::Ask(const Call& call, std::vector<std::string> namespaces, std::stop_token stop,
                    Done done) const {
  const bool too_many = namespaces.size() > options_.max_namespaces;
  if (too_many) namespaces.resize(options_.max_namespaces);
  const auto asking = Begin(call, std::move(namespaces), std::move(done));
  asking->stop = std::move(stop);
  {
    base::MutexLock lock(&asking->mu);
    asking->answer.is_partial = too_many;
  }
  GoOn(asking);
}

void Audiences::GoOn(const std::shared_ptr<Asking>& asking) const {
  {
    base::MutexLock lock(&asking->mu);
    if (std::exchange(asking->going_on, true)) return;
  }
  bool ended = false;
  while (Asking::Question* question = asking->Next(options_.at_a_time, clock_.Now(), ended)) {
    asked_.Increment();
    const auto later = [&]() -> auth::Authorizer::Done {
      return [this, asking, question](const auth::Decision& decision) {
        asking->Take(*question, decision);
        GoOn(asking);
      };
    };
    const auto now = authorizer_.Authorize(*asking->user, question->request, later);
    if (now) asking->Take(*question, *now);
  }
  if (!ended) return;
  Answer answer;
  {
    base::MutexLock lock(&asking->mu);
    answer = std::move(asking->answer);
    answer.is_partial |= asking->next < asking->questions.size();
  }
  if (answer.is_partial) partial_.Increment();
  asking->done(std::move(answer));
}

}  // namespace strata::endpoints

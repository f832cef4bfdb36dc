// Whose image streams the user of a request may see: in which namespaces he may get what shows
// them.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/obs/log.h"
#include "lib/obs/metrics.h"
#include "server/auth/authorizer.h"
#include "server/endpoints/call.h"
#include "server/registry/resource.h"
#include "server/views/reach.h"

namespace strata::endpoints {

// Thread-safe; whoever is asked must have ended before this does.
class Audiences {
 public:
  struct Options {
    // Namespaces that are asked about for one request, and how many of them at a time.
    size_t max_namespaces = 1000;
    size_t at_a_time = 16;
    // After that no more are begun.
    std::chrono::milliseconds patience{5'000};
  };
  // Whoever may get `shown_by` in a namespace may see it.
  Audiences(const auth::Authorizer& authorizer, const registry::Resource& shown_by,
            const Options& options, const base::Clock& clock, const obs::Logger& log,
            obs::Metrics& metrics);

  struct Answer {
    views::Audience audience;
    // Not every namespace could be decided about: those count as not seen.
    bool is_partial = false;
    // Why it couldn't be decided whether he sees everything; empty: it could.
    std::string undecided = {};
  };
  // Called once, inline or on another thread.
  using Done = std::function<void(Answer answer)>;

  // For who is told that he doesn't see everything.
  std::string WhatShowsAll() const;
  // As where it can't be decided whether a request is allowed.
  void FailUndecided(Call& call, const std::string& why) const;

  // Whether he sees everything, which costs one question.
  void AskForAll(const Call& call, Done done) const;
  // Which of the namespaces he sees. Ends early once `stop` is requested.
  void Ask(const Call& call, std::vector<std::string> namespaces, std::stop_token stop,
           Done done) const;

 private:
  struct Asking;
  std::shared_ptr<Asking> Begin(const Call& call, std::vector<std::string> namespaces,
                                Done done) const;
  void GoOn(const std::shared_ptr<Asking>& asking) const;

  const auth::Authorizer& authorizer_;
  const registry::Resource& shown_by_;
  const Options options_;
  const base::Clock& clock_;
  const obs::Logger& log_;
  const obs::Counter asked_, partial_;
};

}  // namespace strata::endpoints

// Records that a watch hasn't brought, read by their names before anybody is told that they don't
// exist.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/status.h"
#include "lib/base/string_map.h"
#include "lib/base/turns.h"
#include "lib/obs/log.h"
#include "lib/obs/metrics.h"
#include "server/kube/api.h"
#include "storage/records/record.h"

namespace strata::kube_source {

// Everything on the Api's thread. Users share what may wait and be in flight as base::Turns says.
//
// A name that several users seek waits in the turn of each, and goes with the first: nobody waits
// behind all that another one wants because they want one thing alike.
class Lookups {
 public:
  struct Options {
    size_t most_in_flight = 32;
    size_t most_waiting = 10'000;              // names, of each who seeks them; more are refused
    std::chrono::milliseconds timeout{3'000};  // of a request, and before it is made
    // How long it is believed that there is no such record, from when that was asked.
    std::chrono::milliseconds absent_time{1'000};
    size_t most_absent_bytes = 16 << 20;  // of such names
  };
  using Done = std::function<void(base::StatusOr<bool> found)>;
  // Takes a record that was found, so that it is with the consumer when this returns; or says why
  // it can't be.
  using Found = std::function<base::Status(records::Change record)>;

  Lookups(kube::Api& api, const Options& options, Found found, const base::Clock& clock,
          const obs::Logger& log, obs::Metrics& metrics);

  // Calls `done` when each of `ids` has been found or is known not to be, with whether one was. One
  // request a name is in flight, whoever asks; who comes later than `absent_time` after it waits
  // for the next. kResourceExhausted if too many names wait, or too many of `user`, who goes along
  // all the same where somebody else waits for one.
  void Seek(const std::vector<records::Id>& ids, std::string_view user, const Done& done);

 private:
  using Turns = base::Turns<std::string>;  // keys
  // What one call waits for.
  struct Seeking {
    std::string user;
    Done done;
    size_t left = 0;
    base::StatusOr<bool> found = false;
  };
  struct Name {
    records::Id id;
    std::vector<std::shared_ptr<Seeking>> seekers{};
    // Who came when the answer that is awaited was too old for them: it is asked for again.
    std::vector<std::shared_ptr<Seeking>> behind{};
    base::StringMap<Turns::Ticket> tickets{};  // while it waits: by whose turns
    std::optional<Turns::Turn> turn{};         // while it is asked for
    base::MonotonicTime since{};  // when the last of those came, and then, when it was asked for
  };

  static std::string KeyOf(const records::Id& id);
  bool IsAbsent(const std::string& key) const;
  void KeepAbsent(const std::string& key, base::MonotonicTime until);
  // Forgets what was known before the last time.
  void ForgetAbsent();
  void SweepLater();
  // Has it told what becomes of the name; an error: there is no room for it.
  base::Status Await(const records::Id& id, const std::string& key,
                     const std::shared_ptr<Seeking>& seeking);
  void SendMore();
  void OnAnswer(const std::string& key, const base::StatusOr<kube::Response>& answer);
  void Settle(const std::string& key, const base::Status& status);
  base::Status Judge(const records::Id& id, const base::StatusOr<kube::Response>& answer);
  void TellWhy(const records::Id& id, const base::Status& status);
  static void Settle(Seeking& seeking, const base::StatusOr<bool>& found);

  kube::Api& api_;
  const Options options_;
  const Found found_;
  const base::Clock& clock_;
  const obs::Logger& log_;
  const struct {
    obs::Counter found, absent, error, rejected;
  } answers_;
  const obs::Gauge names_in_all_, absent_names_;

  base::StringMap<Name> names_;  // in flight or waiting
  Turns turns_;
  bool sending_ = false;
  std::map<base::StatusCode, base::MonotonicTime> told_;  // when the log last said that of one
  // Until when it counts that there is no such record. What one absent_time brought, and the one
  // before; each in at most half the bytes that there are for them.
  base::StringMap<base::MonotonicTime> absent_, absent_before_;
  size_t absent_bytes_ = 0;  // of absent_
};

}  // namespace strata::kube_source

#include "server/kube_source/lookups.h"

#include <fmt/format.h>

#include <utility>

#include "proto/k8s/meta_v1.pb.h"
#include "proto/k8s/runtime.pb.h"
#include "server/kube/envelope.h"
#include "server/kube_source/object_record.h"

namespace strata::kube_source {
namespace {

using ::k8s::io::apimachinery::pkg::runtime::Unknown;

constexpr int kNotFound = 404;
constexpr size_t kNameOverhead = 64;
constexpr std::chrono::minutes kToldAgain{10};

obs::Counter Answers(obs::Metrics& metrics, const char* result) {
  return metrics.AddCounter("strata_source_lookups_total",
                            "Names that were sought since the watch hadn't brought them, by what "
                            "came of it.",
                            {{"result", result}});
}

// A server that doesn't know the group, or something on the way to it, says 404 as well.
base::Status JudgeAbsence(const records::Id& id, const kube::Response& answer) {
  Unknown object;
  k8s::io::apimachinery::pkg::apis::meta::v1::Status status;
  if (!kube::OpenEnvelope(answer.body, object) || !status.ParseFromString(object.raw()) ||
      status.details().name() != id.name)
    return base::UnavailableError(base::Message(kube::ErrorOf(answer)));
  return base::NotFoundError(status.message());
}

}  // namespace

Lookups::Lookups(kube::Api& api, const Options& options, Found found, const base::Clock& clock,
                 const obs::Logger& log, obs::Metrics& metrics)
    : api_(api),
      options_(options),
      found_(std::move(found)),
      clock_(clock),
      log_(log),
      answers_{Answers(metrics, "found"), Answers(metrics, "absent"), Answers(metrics, "error"),
               Answers(metrics, "rejected")},
      names_in_all_(metrics.AddGauge("strata_source_lookups_waiting",
                                     "Names that are read at the API server, or wait for it.")),
      absent_names_(metrics.AddGauge("strata_source_absent_names",
                                     "Names that the API server is known not to have.")),
      turns_({.places = options.most_in_flight, .max_waiting = options.most_waiting}) {}

// Neither kinds nor namespaces have a slash in them.
std::string Lookups::KeyOf(const records::Id& id) {
  return fmt::format("{}/{}/{}", records::NamesOf(id.kind).name, id.ns, id.name);
}

bool Lookups::IsAbsent(const std::string& key) const {
  for (const auto* some : {&absent_, &absent_before_}) {
    const auto found = some->find(key);
    if (found != some->end() && clock_.Now() < found->second) return true;
  }
  return false;
}

void Lookups::KeepAbsent(const std::string& key, base::MonotonicTime until) {
  const size_t bytes = key.size() + kNameOverhead;
  if (absent_bytes_ + bytes > options_.most_absent_bytes / 2) ForgetAbsent();
  if (absent_.empty() && absent_before_.empty()) SweepLater();
  if (absent_.insert_or_assign(key, until).second) absent_bytes_ += bytes;
  absent_names_.Set(static_cast<double>(absent_.size() + absent_before_.size()));
}

void Lookups::ForgetAbsent() {
  absent_before_ = std::exchange(absent_, {});
  absent_bytes_ = 0;
  absent_names_.Set(static_cast<double>(absent_before_.size()));
}

void Lookups::SweepLater() {
  api_.RunAfter(options_.absent_time, [this] {
    ForgetAbsent();
    if (!absent_before_.empty()) SweepLater();
  });
}

void Lookups::Seek(const std::vector<records::Id>& ids, std::string_view user, const Done& done) {
  const auto seeking = std::make_shared<Seeking>(Seeking{std::string(user), done, 1});
  base::StatusOr<bool> known = false;
  for (const records::Id& id : ids) {
    const std::string key = KeyOf(id);
    if (!CanExist(id) || IsAbsent(key)) continue;
    if (const base::Status room = Await(id, key, seeking); !room.ok()) {
      known = room;
      break;
    }
    ++seeking->left;
  }
  names_in_all_.Set(static_cast<double>(names_.size()));
  Settle(*seeking, known);
  SendMore();
}

base::Status Lookups::Await(const records::Id& id, const std::string& key,
                            const std::shared_ptr<Seeking>& seeking) {
  const auto [at, first] = names_.try_emplace(key, Name{.id = id});
  Name& name = at->second;
  if (!name.turn && !name.tickets.contains(seeking->user)) {
    const Turns::Ticket ticket = turns_.TryAdd(std::string(key), seeking->user);
    if (ticket != 0) {
      name.tickets.emplace(seeking->user, ticket);
      name.since = clock_.Now();
    } else if (first) {
      names_.erase(at);
      answers_.rejected.Increment();
      return base::ResourceExhaustedError("too many records are read by name already");
    }
  }
  const bool too_old = name.turn && clock_.Now() - name.since >= options_.absent_time;
  (too_old ? name.behind : name.seekers).push_back(seeking);
  return base::OkStatus();
}

void Lookups::Settle(Seeking& seeking, const base::StatusOr<bool>& found) {
  if (seeking.found.ok() && (!found.ok() || *found)) seeking.found = found;
  if (--seeking.left == 0) seeking.done(seeking.found);
}

void Lookups::SendMore() {
  // An Api that is stopping answers at once, and the answer sends more.
  if (std::exchange(sending_, true)) return;
  while (auto turn = turns_.Next()) {
    const std::string key = turn->what;
    Name& name = names_.find(key)->second;
    for (const auto& [user, ticket] : name.tickets) turns_.Withdraw(ticket);
    name.tickets.clear();
    name.turn = std::move(turn);
    if (clock_.Now() - name.since > options_.timeout) {
      Settle(key, base::DeadlineExceededError("the API server answers too slowly"));
      continue;
    }
    name.since = clock_.Now();
    kube::Request request;
    request.path = PathOf(name.id);
    request.accept = "application/vnd.kubernetes.protobuf";
    request.timeout = options_.timeout;
    api_.Send(std::move(request),
              [this, key](const base::StatusOr<kube::Response>& answer) { OnAnswer(key, answer); });
  }
  sending_ = false;
}

void Lookups::OnAnswer(const std::string& key, const base::StatusOr<kube::Response>& answer) {
  const Name& name = names_.find(key)->second;
  const base::MonotonicTime until = name.since + options_.absent_time;
  const base::Status status = Judge(name.id, answer);
  if (status.code() == base::StatusCode::kNotFound) KeepAbsent(key, until);
  Settle(key, status);
  SendMore();
}

void Lookups::Settle(const std::string& key, const base::Status& status) {
  const auto at = names_.find(key);
  Name name = std::move(at->second);
  names_.erase(at);
  turns_.End(*name.turn);
  for (const auto& seeking : name.behind)
    if (const base::Status room = Await(name.id, key, seeking); !room.ok()) Settle(*seeking, room);
  names_in_all_.Set(static_cast<double>(names_.size()));
  const bool absent = status.code() == base::StatusCode::kNotFound;
  (status.ok() ? answers_.found : absent ? answers_.absent : answers_.error).Increment();
  base::StatusOr<bool> found = !absent;
  if (!status.ok() && !absent) {
    found = status;
    TellWhy(name.id, status);
  }
  for (const auto& seeking : name.seekers) Settle(*seeking, found);
}

// Once for all names that fail alike: of each the message is another.
void Lookups::TellWhy(const records::Id& id, const base::Status& status) {
  if (status.code() == base::StatusCode::kCancelled) return;
  const auto [told, first] = told_.try_emplace(status.code(), clock_.Now());
  if (!first && clock_.Now() - told->second < kToldAgain) return;
  told->second = clock_.Now();
  const bool denied = status.code() == base::StatusCode::kPermissionDenied;
  log_.Warning(denied ? fmt::format("The account at the API server may not read records by their "
                                    "names: it needs get of {}",
                                    records::NamesOf(id.kind).resource)
                      : "A record couldn't be read by its name at the API server, as others may be",
               {{"path", PathOf(id)}, {"err", status}});
}

base::Status Lookups::Judge(const records::Id& id, const base::StatusOr<kube::Response>& answer) {
  STRATA_RETURN_IF_ERROR(answer.status());
  if (answer->status == kNotFound) return JudgeAbsence(id, *answer);
  STRATA_RETURN_IF_ERROR(kube::ErrorOf(*answer));
  Unknown object;
  if (!kube::OpenEnvelope(answer->body, object) ||
      object.type_meta().kind() != records::NamesOf(id.kind).name)
    return base::DataLossError("the answer isn't an object in Kubernetes protobuf");
  STRATA_ASSIGN_OR_RETURN(records::Change record, RecordOf(id.kind, object.raw()));
  if (record.id != id) return base::DataLossError("the answer is another object");
  return found_(std::move(record));
}

}  // namespace strata::kube_source

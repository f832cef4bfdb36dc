#include "server/endpoints/builds.h"

#include <exception>
#include <stop_token>
#include <utility>

namespace strata::endpoints {
namespace {

// What an answer of so many images takes while it is made, about: it is gathered, sorted, and
// written; YAML is made of JSON by way of a tree.
constexpr size_t kBytesPerImage = 4 << 10;
constexpr size_t kYamlFactor = 8;

std::string KeyOf(const Call& call, const layers::Form& form) {
  const wire::Representation& r = form.representation;
  std::string key = call.info->ns + '/' + call.info->name + '/';
  for (const int part :
       {static_cast<int>(r.type), static_cast<int>(r.transform), static_cast<int>(r.pretty),
        static_cast<int>(r.beta), static_cast<int>(form.gzip)})
    key += static_cast<char>('0' + part);
  return key;
}

}  // namespace

struct Builds::Flight {
  Flight(const Call& call, const layers::Form& form, std::string k)
      : key(std::move(k)), assembly(call.info->ns, call.info->name, form) {}

  const std::string key;
  layers::Assembly assembly;
  std::stop_source stop;
  bool running = false;
  absl::flat_hash_map<std::shared_ptr<Seat>, std::shared_ptr<Call>> waiting;
  base::StringMap<uint64_t> orders;  // tickets by user
};

struct Builds::Seat {
  std::weak_ptr<Flight> flight;
  bool ended = false;  // before it was taken
};

Builds::Builds(layers::Index& index, Lane lane, Answer answer, obs::Metrics& metrics)
    : index_(index),
      lane_(std::move(lane)),
      answer_(std::move(answer)),
      stats_(std::make_shared<Stats>()) {
  metrics.AddGaugeFunction("strata_builds", "Large answers that are being made or wait for it.", {},
                           [stats = stats_] { return static_cast<double>(stats->open); });
  metrics.AddCounterFunction("strata_builds_joined_total",
                             "Requests that waited for an answer which another one had asked for.",
                             {}, [stats = stats_] { return static_cast<double>(stats->joined); });
  metrics.AddCounterFunction(
      "strata_builds_abandoned_total",
      "Large answers that weren't made to the end, since nobody waited for them any more.", {},
      [stats = stats_] { return static_cast<double>(stats->abandoned); });
}

void Builds::Join(const std::shared_ptr<Call>& call, const layers::Form& form, size_t images) {
  const auto seat = std::make_shared<Seat>();
  call->OnEnd([this, seat](Call::End end) { Leave(seat, end); });
  bool refused = false;
  {
    base::MutexLock lock(&mu_);
    if (seat->ended) return;
    const std::shared_ptr<Flight> flight = FlightOf(*call, form);
    if (Order(flight, *call, images)) {
      seat->flight = flight;
      flight->waiting.emplace(seat, call);
    } else {
      Close(*flight);
      refused = true;
    }
  }
  if (refused) call->Fail(api::TooManyRequests());
}

std::shared_ptr<Builds::Flight> Builds::FlightOf(const Call& call, const layers::Form& form) {
  const std::string key = KeyOf(call, form);
  std::shared_ptr<Flight>& open = open_[key];
  if (open != nullptr && open->assembly.is_open()) {
    ++stats_->joined;
    return open;
  }
  // One that isn't open serves those who wait for it, and nobody else.
  open = std::make_shared<Flight>(call, form, key);
  stats_->open = open_.size();
  return open;
}

bool Builds::Order(const std::shared_ptr<Flight>& flight, const Call& call, size_t images) {
  const std::string& user = call.user->name;
  if (flight->running || flight->orders.contains(user)) return true;
  const bool is_first = flight->orders.empty();
  size_t bytes = is_first ? images * kBytesPerImage : 0;
  if (flight->assembly.form().representation.type == wire::MediaType::kYaml) bytes *= kYamlFactor;
  std::function<void()> task = [this, flight] { Run(flight); };
  const uint64_t ticket = lane_.submit(task, {user, bytes});
  if (ticket == 0) return !is_first;
  flight->orders.emplace(user, ticket);
  return true;
}

void Builds::Leave(const std::shared_ptr<Seat>& seat, Call::End end) {
  std::shared_ptr<Call> call;
  {
    base::MutexLock lock(&mu_);
    const std::shared_ptr<Flight> flight = seat->flight.lock();
    seat->ended = true;
    if (flight == nullptr) return;
    const auto found = flight->waiting.find(seat);
    if (found == flight->waiting.end()) return;
    call = std::move(found->second);
    flight->waiting.erase(found);
    if (flight->waiting.empty()) {
      ++stats_->abandoned;
      flight->stop.request_stop();
      Cancel(*flight);
      Close(*flight);
    }
  }
  call->Abandon(end);
}

void Builds::Cancel(Flight& flight) {
  for (const auto& [user, ticket] : flight.orders) lane_.withdraw(ticket);
}

void Builds::Close(const Flight& flight) {
  const auto found = open_.find(flight.key);
  if (found != open_.end() && found->second.get() == &flight) open_.erase(found);
  stats_->open = open_.size();
}

void Builds::Run(const std::shared_ptr<Flight>& flight) {
  {
    base::MutexLock lock(&mu_);
    if (flight->running || flight->waiting.empty() || stopping_) return;
    flight->running = true;
    running_.push_back(flight.get());
    Cancel(*flight);
  }
  Result built = base::CancelledError("not made");
  std::exception_ptr thrown;
  try {
    built = index_.Make(flight->assembly, flight->stop.get_token());
  } catch (const std::exception&) {
    thrown = std::current_exception();
  }
  std::vector<std::shared_ptr<Call>> waited;
  {
    base::MutexLock lock(&mu_);
    std::erase(running_, flight.get());
    Close(*flight);
    for (auto& [seat, call] : flight->waiting) waited.push_back(std::move(call));
    flight->waiting.clear();
  }
  for (const auto& call : waited) {
    call->Guard([&] {
      if (thrown != nullptr) std::rethrow_exception(thrown);
      answer_(call, built, flight->assembly.form());
    });
  }
}

void Builds::Stop() {
  std::vector<std::shared_ptr<Call>> dropped;  // after the lock
  base::MutexLock lock(&mu_);
  stopping_ = true;
  for (Flight* flight : running_) flight->stop.request_stop();
  for (const auto& [key, flight] : open_) {
    for (auto& [seat, call] : flight->waiting) dropped.push_back(std::move(call));
    flight->waiting.clear();
  }
  open_.clear();
}

}  // namespace strata::endpoints

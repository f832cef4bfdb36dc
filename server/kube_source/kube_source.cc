#include "server/kube_source/kube_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "proto/k8s/list.pb.h"
#include "proto/k8s/runtime.pb.h"
#include "server/kube/envelope.h"
#include "server/kube_source/object_record.h"
#include "storage/records/kinds.h"

namespace strata::kube_source {
namespace {

using records::Kind;

// One object without its content: of the answer the list's revision is wanted.
constexpr std::string_view kMetadataOnly =
    "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
// Records that may be ahead of their watch; more aren't taken until it has come nearer.
constexpr size_t kMostAhead = 10'000;

int64_t Milliseconds(base::MonotonicTime::duration time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
}

obs::Counter Relists(obs::Metrics& metrics, const char* reason) {
  return metrics.AddCounter("strata_relists_total", "Lists of all records, by their reason.",
                            {{"reason", reason}});
}

// How far the watches of the two resources may be apart: longer than it takes to give up one that
// hangs (Feed::Options::watch_time) and to open the next.
constexpr std::chrono::seconds kMostApart{25};
// And so two servers, with what events are on their way.
constexpr std::chrono::seconds kDisorder{30};
// How long a watch that was away is open before what changed meanwhile has come: an API server has
// it in memory, and writes it behind the head of its answer.
constexpr std::chrono::milliseconds kCatchUp{500};

reflector::Barrier::Options WithDisorder(reflector::Barrier::Options options) {
  options.disorder = kDisorder;
  return options;
}

}  // namespace

KubeSource::KubeSource(std::shared_ptr<kube::Api> api, reflector::Consumer& consumer,
                       const Options& options, const base::Clock& clock, const obs::Logger& log,
                       obs::Metrics& metrics)
    : api_(std::move(api)),
      consumer_(consumer),
      options_(options),
      clock_(clock),
      log_(log),
      relists_{Relists(metrics, "start"), Relists(metrics, "broken"), Relists(metrics, "compacted"),
               Relists(metrics, "restored")},
      backend_revision_(
          metrics.AddGauge("strata_source_backend_revision",
                           "Revision that the API server had when it last gave a sign of life.")),
      health_(log),
      reason_(&relists_.start),
      backoff_(options.relist),
      barrier_(WithDisorder(options.barrier), *this, clock, metrics),
      lookups_(
          *api_, options.lookups, [this](records::Change r) { return TakeFound(std::move(r)); },
          clock, log, metrics) {
  for (const records::KindNames& names : records::kKinds) {
    Resource& resource = Of(names.kind);
    Feed::Sink& sink = *this;
    resource.feed =
        std::make_unique<Feed>(*api_, names.kind, options.feed, sink, clock, log, metrics);
    const obs::Labels labels = {{"resource", std::string(names.resource)}};
    resource.events = std::make_unique<const obs::Counter>(metrics.AddCounter(
        "strata_watch_events_total", "Changes that the watch delivered.", labels));
    metrics.AddGaugeFunction("strata_source_revision",
                             "Revision that the watch of the API server has come to.", labels,
                             [&resource] { return static_cast<double>(resource.position.load()); });
    metrics.AddGaugeFunction(
        "strata_source_quiet_seconds",
        "Time since the watch of the API server last brought something, bookmarks too.", labels,
        [this, &resource] {
          const int64_t heard = resource.heard_ms;
          if (heard == 0) return 0.0;
          return static_cast<double>(now_ms() - heard) / 1000;
        });
  }
}

KubeSource::~KubeSource() {
  Stop();
}

void KubeSource::Start() {
  barrier_.Start();
  api_->RunAfter({}, [this] {
    alive_at_ = clock_.Now();
    List();
    Ask();
  });
}

void KubeSource::Stop() {
  api_->Stop();
  barrier_.Stop();
}

base::Revision KubeSource::Complete() const {
  base::Revision least = reflector::Barrier::kNever;
  for (const Resource& resource : resources_) least = std::min(least, resource.position.load());
  return least;
}

void KubeSource::List() {
  ++lists_;
  list_waits_ = false;
  for (Resource& resource : resources_) End(resource);
  following_ = false;
  Attach();
  began_ = clock_.Now();
  listed_ = 0;
  listing_ = true;
  consumer_.BeginList();
  resources_.front().feed->List();
}

void KubeSource::ListLater(const base::Status& why) {
  health_.Set(reflector::Health::Part::kWatch, why);
  for (Resource& resource : resources_) End(resource);
  if (std::exchange(listing_, false)) consumer_.AbortList();
  following_ = false;
  Attach();
  list_waits_ = true;
  api_->RunAfter(backoff_.Next(), [this, next = lists_] {
    if (next == lists_) List();
  });
}

void KubeSource::Hurry() {
  if (list_waits_) return List();
  for (Resource& resource : resources_) resource.feed->Hurry();
}

void KubeSource::OnPage(const std::vector<records::Change>& page) {
  listed_ += page.size();
  consumer_.ListPage(page);
}

void KubeSource::OnListed(Kind kind, base::Revision) {
  const size_t next = static_cast<size_t>(kind) + 1;
  if (next < resources_.size()) return resources_[next].feed->List();
  EndList();
}

void KubeSource::OnListFailed(Kind, const base::Status& why) {
  ListLater(why);
}

void KubeSource::EndList() {
  base::Revision newest = 0;
  for (Resource& resource : resources_) {
    newest = std::max(newest, resource.feed->position());
    resource.position = resource.feed->position();
    resource.heard_ms = Milliseconds(began_.time_since_epoch());
    resource.ahead.clear();
    resource.held.reset();
    resource.away_since = {};
    resource.status = base::OkStatus();
  }
  // Something may be otherwise now: that is another revision, unless revisions begin anew.
  revision_ = std::exchange(restored_, false) ? newest : std::max(newest, revision_ + 1);
  listing_ = false;
  following_ = true;
  consumer_.EndList(revision_);
  barrier_.Publish(revision_, revision_, 0, /*after_list=*/true, Complete());
  reason_->Increment();
  log_.Info(
      "Listed all records",
      {{"records", listed_}, {"revision", revision_}, {"ms", Milliseconds(clock_.Now() - began_)}});
  Attach();
  for (Resource& resource : resources_) resource.feed->Watch();
}

// The head of an answer says nothing of what comes behind it.
void KubeSource::OnWatching(Kind kind) {
  Resource& resource = Of(kind);
  if (clock_.Now() - resource.away_since < kCatchUp) return OnCaughtUp(resource);
  api_->RunAfter(kCatchUp, [this, &resource, turn = resource.turn] {
    if (turn == resource.turn) OnCaughtUp(resource);
  });
}

void KubeSource::OnCaughtUp(Resource& resource) {
  resource.watching = true;
  resource.status = base::OkStatus();
  resource.heard_ms = now_ms();
  Release();
  Attach();
}

void KubeSource::Leave(Resource& resource) {
  if (std::exchange(resource.watching, false)) resource.away_since = clock_.Now();
  ++resource.turn;
}

void KubeSource::End(Resource& resource) {
  resource.feed->End();
  Leave(resource);
}

void KubeSource::OnWatchEnd(Kind kind, const base::Status& why) {
  Resource& resource = Of(kind);
  Leave(resource);
  if (!why.ok()) resource.away_since = {};
  resource.status = why;
  Attach();
}

void KubeSource::OnLost(Kind, const base::Status& why) {
  const bool compacted = why.code() == base::StatusCode::kOutOfRange;
  restored_ = restored_ || why.code() == base::StatusCode::kAborted;
  reason_ = compacted ? &relists_.compacted : restored_ ? &relists_.restored : &relists_.broken;
  log_.Info("What has changed can't be told any more; listing anew", {{"err", why}});
  ListLater(why);
}

int64_t KubeSource::now_ms() const {
  return Milliseconds(clock_.Now().time_since_epoch());
}

bool KubeSource::late() const {
  const int64_t now = now_ms();
  return std::ranges::any_of(resources_, [&](const Resource& resource) {
    return !resource.held && now - resource.heard_ms > Milliseconds(kMostApart);
  });
}

// Behind what it was held for, and then it is as late as that no more.
void KubeSource::Release() {
  for (Resource& resource : resources_) {
    if (!resource.held || late()) continue;
    resource.heard_ms = now_ms();
    Take(resource, *std::exchange(resource.held, std::nullopt));
    resource.feed->Watch();
  }
}

void KubeSource::OnChanges(Kind kind, std::vector<records::Change> changes,
                           base::Revision position) {
  Resource& resource = Of(kind);
  resource.events->Increment(static_cast<double>(changes.size()));
  backoff_.Reset();
  resource.heard_ms = now_ms();
  if (!late()) {
    Take(resource, {std::move(changes), position});
    if (resource.watching) Release();
    return;
  }
  resource.held = {std::move(changes), position};
  End(resource);
  Attach();
}

void KubeSource::Take(Resource& resource, News news) {
  resource.position = news.position;
  if (!resource.ahead.empty()) {
    std::erase_if(news.changes, [&](const records::Change& change) {
      const auto ahead = resource.ahead.find(KeyOf(change.id));
      return ahead != resource.ahead.end() && change.revision <= ahead->second;
    });
    absl::erase_if(resource.ahead, [&](const auto& ahead) { return ahead.second < news.position; });
  }
  Deliver(std::move(news.changes));
}

void KubeSource::Deliver(std::vector<records::Change> changes) {
  std::vector<reflector::Batch> batches;
  batches.reserve(changes.size());
  for (records::Change& change : changes) {
    revision_ = std::max(change.revision, revision_ + 1);
    change.revision = revision_;
    batches.push_back({revision_, {}});
    batches.back().changes.push_back(std::move(change));
  }
  revision_ = std::max(revision_, Complete());
  consumer_.Apply(batches, revision_);
  barrier_.Publish(revision_, revision_, 0, /*after_list=*/false, Complete());
}

base::Status KubeSource::TakeFound(records::Change record) {
  if (!following_) return base::UnavailableError("the records are listed anew");
  if (late()) return base::UnavailableError("a watch of the API server is away");
  Resource& resource = Of(record.id.kind);
  // What the watch has passed it has brought: this, or what came after it.
  if (record.revision < resource.position) return base::OkStatus();
  base::Revision& ahead = resource.ahead[KeyOf(record.id)];
  if (record.revision <= ahead) return base::OkStatus();
  if (resource.ahead.size() > kMostAhead) {
    resource.ahead.erase(KeyOf(record.id));
    return base::UnavailableError("the watch of the API server is far behind");
  }
  ahead = record.revision;
  std::vector<records::Change> changes;
  changes.push_back(std::move(record));
  Deliver(std::move(changes));
  return base::OkStatus();
}

void KubeSource::Attach() {
  base::Status status;
  bool all = following_ && !silent();
  for (const Resource& resource : resources_) {
    all = all && resource.watching;
    if (status.ok()) status = resource.status;
  }
  if (following_) health_.Set(reflector::Health::Part::kWatch, status);
  if (all) {
    barrier_.Attach();
  } else {
    barrier_.Detach();
  }
}

// The watches show whether it is so. They come on the Api's thread, as signs of life do: what holds
// it up is seen from here.
base::StatusOr<reflector::Barrier::Target> KubeSource::Read(base::MonotonicTime) {
  if (silent()) {
    barrier_.Detach();
    // A sign of life that came meanwhile attached before.
    if (!silent()) api_->RunAfter({}, [this] { Attach(); });
  }
  return reflector::Barrier::Target{barrier_.current(), -1, -1};
}

void KubeSource::Seek(const std::vector<records::Id>& ids, std::string_view user,
                      const Sought& done) {
  api_->RunAfter({}, [this, ids, of = std::string(user), done] { lookups_.Seek(ids, of, done); });
}

void KubeSource::Ask() {
  kube::Request request;
  request.path = fmt::format("{}?limit=1", PathOf(Kind::kImageStream));
  request.accept = kMetadataOnly;
  request.timeout = options_.probe_interval;
  base::Revision before = 0;
  for (const Resource& resource : resources_) before = std::max(before, resource.position.load());
  api_->Send(std::move(request),
             [this, before, asked = clock_.Now()](const base::StatusOr<kube::Response>& answer) {
               if (answer.status().code() == base::StatusCode::kCancelled) return;
               OnLife(before, asked, answer);
               api_->RunAfter(options_.probe_interval, [this] { Ask(); });
             });
}

void KubeSource::OnLife(base::Revision before, base::MonotonicTime asked,
                        const base::StatusOr<kube::Response>& answer) {
  k8s::io::apimachinery::pkg::runtime::Unknown object;
  k8s::io::apimachinery::pkg::apis::meta::v1::RawList list;
  base::Status status = answer.ok() ? kube::ErrorOf(*answer) : answer.status();
  if (status.ok() &&
      (!kube::OpenEnvelope(answer->body, object) || !list.ParseFromString(object.raw())))
    status = base::DataLossError("the answer isn't a list in Kubernetes protobuf");
  base::Revision now = 0;
  if (status.ok()) {
    const auto revision = RevisionOf(list.metadata().resource_version());
    status = revision.status();
    now = revision.value_or(0);
  }
  if (status.ok()) alive_at_ = asked;
  health_.Set(reflector::Health::Part::kReads, status);
  Attach();
  const bool again = std::exchange(probe_failed_, !status.ok());
  if (!status.ok()) return;
  if (again) Hurry();
  backend_revision_.Set(static_cast<double>(now));
  if (!following_) return;
  if (now < before) {
    return OnLost(
        Kind::kImageStream,
        base::Error(base::StatusCode::kAborted,
                    fmt::format("the API server went back from revision {} to {}", before, now)));
  }
  if (!consumer_.needs_list()) return;
  reason_ = &relists_.broken;
  log_.Info("What was held of the records is lost; listing anew", {{"revision", revision_}});
  ListLater(base::UnavailableError("the records are listed anew"));
}

}  // namespace strata::kube_source

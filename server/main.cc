// strata-apiserver: from the command line to a running server, top to bottom.
#include <google/protobuf/stubs/logging.h>
#include <malloc.h>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lib/base/build_info.h"
#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/process.h"
#include "lib/obs/log.h"
#include "lib/obs/memory.h"
#include "lib/obs/metrics.h"
#include "lib/obs/process.h"
#include "lib/transport/files/file_watcher.h"
#include "lib/transport/net/credentials.h"
#include "lib/transport/net/server.h"
#include "lib/transport/net/worker_pool.h"
#include "server/api/discovery.h"
#include "server/api/openapi.h"
#include "server/audit/log.h"
#include "server/endpoints/freshness.h"
#include "server/endpoints/health.h"
#include "server/endpoints/index_feed.h"
#include "server/endpoints/layers.h"
#include "server/endpoints/router.h"
#include "server/endpoints/seeker.h"
#include "server/layers/index.h"
#include "server/registry/image_v1.h"
#include "server/registry/layers_v1alpha1.h"
#include "server/serving/chain.h"
#include "server/serving/connection.h"
#include "server/start/arguments.h"
#include "server/start/flags.h"
#include "server/start/foreign_flags.h"
#include "server/start/identity.h"
#include "server/start/image_resources.h"
#include "server/start/lane.h"
#include "server/start/records.h"
#include "server/start/secrets.h"
#include "server/start/view_resources.h"
#include "storage/command_line/parse.h"
#include "storage/reflector/consumers.h"
#include "storage/reflector/source.h"

namespace strata {
namespace {

constexpr int kBadUsage = 2;
// Everything together, once requests in flight have had their time, or from an error at the start.
constexpr std::chrono::seconds kMostToEnd{10};

void AddHealthChecks(endpoints::Health& health, const start::Flags& flags,
                     const reflector::Source& source, const std::atomic<bool>& stopping) {
  using Scope = endpoints::Health::Scope;
  health.Add("ping", Scope::kLiveness, [] { return base::OkStatus(); });
  health.Add("log", Scope::kLiveness, [] { return base::OkStatus(); });
  const bool etcd = flags.source != start::Flags::kKubeSource;
  health.Add(etcd ? "etcd" : "kube-source", Scope::kReadiness,
             [&source] { return source.connection(); });
  health.Add("informer-sync", Scope::kReadiness, [&source] {
    return source.synced() ? base::OkStatus()
                           : base::UnavailableError("the index isn't complete yet");
  });
  health.Add("shutdown", Scope::kReadiness, [&stopping] {
    return stopping ? base::UnavailableError("process is shutting down") : base::OkStatus();
  });
}

// By a thread of their own: whatever users ask for, an operator sees it.
endpoints::CallHandler ServeMetrics(const obs::Metrics& metrics, net::WorkerPool& writer) {
  return [&metrics, &writer](const std::shared_ptr<endpoints::Call>& call) {
    net::Task task = [&metrics, call] {
      call->Guard([&] {
        http::Response response;
        response.headers.Add("content-type", "text/plain; version=0.0.4; charset=utf-8");
        response.body = std::make_shared<const std::string>(metrics.Text());
        call->Respond(std::move(response));
      });
    };
    if (writer.TrySubmit(std::move(task), {call->user->name}) == 0)
      call->Fail(api::TooManyRequests());
  };
}

template <int kCode = 1>
int Fail(const base::Status& status) {
  base::EndWithin<kCode>(kMostToEnd);
  std::fprintf(stderr, "strata-apiserver: %s\n", std::string(base::Message(status)).c_str());
  return kCode;
}

// Null where nothing is to be audited.
base::StatusOr<std::unique_ptr<audit::Log>> OpenAudit(const start::Flags& flags,
                                                      const base::Clock& clock,
                                                      const obs::Logger& log,
                                                      obs::Metrics& metrics) {
  if (flags.audit.path.empty()) return std::unique_ptr<audit::Log>();
  constexpr size_t kMaxPolicyBytes = 1 << 20;
  const auto text = base::ReadFile(flags.audit_policy_file, kMaxPolicyBytes);
  if (!text.ok()) return base::Annotate(text.status(), "--audit-policy-file");
  auto policy = audit::Policy::Parse(*text);
  if (!policy.ok()) {
    return base::Annotate(base::Annotate(policy.status(), flags.audit_policy_file),
                          "--audit-policy-file");
  }
  auto opened = audit::Log::Open(flags.audit, *std::move(policy), clock, log, metrics);
  if (!opened.ok()) return base::Annotate(opened.status(), "--audit-log-path");
  return opened;
}

void PrintRawVersion() {
  const base::BuildInfo& build = base::Build();
  std::printf("version=%s major=%s minor=%s gitCommit=%s compiler=%s platform=%s\n", build.version,
              build.major, build.minor, build.git_commit, build.compiler, build.platform);
}

// All that clients can make the server hold, and that can be a good part of its memory.
void GiveWay(start::Flags& flags, const base::MemoryPressure& memory) {
  for (base::Limit* limit :
       {&flags.server.max_connections, &flags.session.max_held_bytes_in_all,
        &flags.max_unread_response_bytes, &flags.workers.max_bytes, &flags.index.cache_bytes,
        &flags.objects.list_buffer_bytes, &flags.objects.watches.cache_bytes,
        &flags.objects.watches.buffer_bytes, &flags.views.history.max_bytes}) {
    limit->GiveWayTo(memory);
  }
}

int Run(start::Flags flags) {
  base::BeginServing();
  // Of the eight arenas a core that glibc would make for gRPC's and our threads, each keeps holes.
  mallopt(M_ARENA_MAX, static_cast<int>(std::max(1u, std::thread::hardware_concurrency())));
  // protobuf would write to stderr by itself of hostile records, which we report.
  google::protobuf::SetLogHandler(nullptr);

  if (const base::Status status = start::Complete(flags); !status.ok())
    return Fail<kBadUsage>(status);
  const base::EndSignal end(flags.shutdown_delay + flags.chain.request_timeout + kMostToEnd);
  const base::SystemClock clock;
  obs::Metrics metrics;
  const obs::Logger log({flags.log_format == "json" ? obs::LogFormat::kJson : obs::LogFormat::kText,
                         flags.verbosity, flags.log_buffer_bytes},
                        metrics);
  obs::AddProcessMetrics(metrics);
  base::MemoryPressure pressure;
  GiveWay(flags, pressure);
  const base::BuildInfo& build = base::Build();
  metrics.AddGaugeFunction("kubernetes_build_info", "Which build this is; always 1.",
                           {{"major", build.major},
                            {"minor", build.minor},
                            {"git_version", build.version},
                            {"git_commit", build.git_commit},
                            {"compiler", build.compiler},
                            {"platform", build.platform}},
                           [] { return 1.0; });
  log.Info("Starting strata-apiserver",
           {{"version", base::Build().version}, {"commit", base::Build().git_commit}});

  files::FileWatcher watcher(flags.files, log, metrics);
  auto credentials = net::Credentials::Load(flags.tls, watcher, clock, metrics);
  if (!credentials.ok()) return Fail(credentials.status());
  auto identity = start::Identity::Create(flags, watcher, **credentials, clock, log, metrics);
  if (!identity.ok()) return Fail(identity.status());
  auto secrets = start::Secrets::Create(flags, clock, metrics);
  if (!secrets.ok()) return Fail(secrets.status());
  auto audit_log = OpenAudit(flags, clock, log, metrics);
  if (!audit_log.ok()) return Fail(audit_log.status());
  auto records = start::Records::Open(flags, clock, log, metrics);
  if (!records.ok()) return Fail(records.status());

  flags.index.for_views = (*records)->history() != nullptr;
  // Who may miss a record looks for it.
  flags.index.tells_missing = flags.source == start::Flags::kKubeSource;
  layers::Index index(flags.index, endpoints::ReportTo(log));
  endpoints::AddIndexMetrics(index, metrics);
  endpoints::IndexFeed feed(index);
  net::WorkerPool workers(flags.workers, "build", metrics);
  net::WorkerPool readers(flags.readers, "read", metrics);
  net::WorkerPool listers(flags.listers, "list", metrics);
  net::WorkerPool metrics_writer({.threads = 1, .max_queued = 64}, "metrics", metrics);
  const replica::History* const history = (*records)->history();
  std::optional<start::ImageResources> objects;  // nothing where layers alone are served
  if (history != nullptr) {
    objects.emplace(
        start::ImageResources::Parts{*history, (*records)->keys(), flags.registry, index,
                                     start::LaneOf(readers), start::LaneOf(listers)},
        flags.objects, clock, log, metrics);
  }
  std::optional<start::ViewResources> views;  // the same
  flags.views.history.max_age = flags.replica.history_age;
  if (objects) {
    views.emplace(start::ViewResources::Parts{index, (*records)->keys(), (*identity)->authorizer(),
                                              start::LaneOf(workers), start::LaneOf(listers),
                                              objects->list_memory(), flags.objects},
                  flags.views, clock, log, metrics);
  }
  // A revision is new to requests when all have it, and watches read it in the history.
  std::vector<reflector::Consumer*> consumers;
  if (auto* const keeper = (*records)->keeper()) consumers.push_back(keeper);
  consumers.push_back(&feed);
  if (objects) consumers.push_back(&objects->consumer());
  if (views) {
    for (reflector::Consumer* consumer : views->consumers()) consumers.push_back(consumer);
  }
  reflector::Consumers all(std::move(consumers));
  const auto source = (*records)->MakeSource(flags, all, clock, log, metrics);

  std::atomic<bool> stopping = false;
  endpoints::Health health;
  AddHealthChecks(health, flags, *source, stopping);
  (*identity)->AddHealthChecks(health);
  health.AddMetrics(metrics);
  const bool layers_alone = history == nullptr;
  registry::Groups groups = {layers_alone          ? &registry::ImageV1LayersAlone()
                             : *secrets != nullptr ? &registry::ImageV1WithSecrets()
                                                   : &registry::ImageV1()};
  if (!layers_alone) groups.push_back(&registry::LayersV1Alpha1());
  const api::Discovery discovery(groups);
  const api::OpenApi openapi(groups);
  endpoints::Freshness freshness(source->barrier(), clock);
  const endpoints::Seeker seeker(*source);
  endpoints::LayersHandler layers(index, freshness, seeker, start::LaneOf(workers), metrics);
  endpoints::Router router(groups);
  router.AddHealth(health);
  router.AddVersion();
  router.AddDiscovery(discovery);
  router.AddOpenApi(openapi);
  router.AddPath("/metrics", ServeMetrics(metrics, metrics_writer));
  router.Serve(registry::ImageStreamLayers(), "get", endpoints::ServeBy(layers));
  if (objects) objects->BindTo(router, freshness, seeker);
  if (views) views->BindTo(router, freshness, seeker);
  if (*secrets != nullptr) (*secrets)->BindTo(router);

  serving::Chain chain(flags.chain, (*identity)->authenticator(), (*identity)->authorizer(), router,
                       clock, log, metrics, audit_log->get());
  flags.server.connection.answer_to_plaintext = serving::kAnswerToPlaintext;
  flags.server.connection.rank_of = [&identity](const net::ConnectionInfo& info) {
    return (*identity)->RankOf(info.certificate_chain);
  };
  net::Server server(
      flags.server, **credentials,
      serving::SpeakHttp(
          flags.session, {flags.max_unread_response_bytes, flags.server.max_connections},
          [&chain](http::Request request, std::unique_ptr<http::Exchange> exchange) {
            chain.Serve(std::move(request), std::move(exchange));
          },
          clock, metrics),
      clock, log, metrics);

  (*identity)->Start();
  if (objects) objects->Start();
  if (views) views->Start();
  source->Start();
  const std::vector<net::ListenAddress> addresses = {
      {flags.bind_address, static_cast<uint16_t>(flags.secure_port)}};
  if (const base::Status status = server.Start(addresses); !status.ok()) {
    (*identity)->Stop();
    source->Stop();
    return Fail(base::Annotate(status, "--bind-address, --secure-port"));
  }
  std::optional<obs::MemoryWatch> memory(
      std::in_place, flags.memory, obs::ProcessMemory(), pressure, [&server] { server.Relieve(); },
      log, metrics);
  log.Info("Serving securely", {{"address", flags.bind_address}, {"port", server.ports()[0]}});

  log.Info("Shutting down", {{"signal", strsignal(end.Await())}});
  stopping = true;
  std::this_thread::sleep_for(flags.shutdown_delay);
  if (objects) objects->EndWatches();
  if (views) views->EndWatches();
  const size_t left = server.Drain(
      std::chrono::duration_cast<std::chrono::milliseconds>(flags.chain.request_timeout));
  base::EndWithin<0>(kMostToEnd);
  (*identity)->Stop();
  if (*secrets != nullptr) (*secrets)->Stop();
  source->Stop();
  memory.reset();
  server.Stop();
  // What they still work on, nobody waits for.
  layers.Stop();
  if (objects) objects->Stop();
  if (views) views->Stop();
  for (net::WorkerPool* pool : {&workers, &readers, &listers, &metrics_writer}) pool->Stop();
  log.Info("Stopped", {{"connections_cut", left}});
  return 0;
}

}  // namespace
}  // namespace strata

int main(int argc, char** argv) {
  strata::base::BeginProcess();
  CLI::App app{fmt::format("An aggregated API server for {}: the layers of image streams.",
                           strata::registry::ImageV1().group_version()),
               "strata-apiserver"};
  app.set_version_flag("--version",
                       std::string("strata-apiserver ") + strata::base::Build().version);
  app.allow_extras(false);
  strata::start::Flags flags;
  strata::start::AddFlags(app, flags);
  auto arguments = strata::start::ReadArguments(argc, argv);
  strata::base::Status usable = arguments.status();
  if (usable.ok()) usable = strata::start::DropForeignFlags(*arguments);
  if (!usable.ok()) return strata::Fail<strata::kBadUsage>(usable);
  if (std::find(arguments->begin(), arguments->end(), "--version=raw") != arguments->end()) {
    strata::PrintRawVersion();
    return 0;
  }
  if (const auto ended = strata::command_line::Parse(app, *std::move(arguments))) return *ended;
  return strata::Run(std::move(flags));
}

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <chrono>

#include "server/start/flag_groups.h"
#include "storage/command_line/duration_flag.h"
#include "storage/command_line/etcd_flags.h"

namespace strata::start {
namespace {

using command_line::AddDuration;
using command_line::Zero;

constexpr std::chrono::milliseconds kMostAbsentTime{1'000};

void AddStorageFlags(CLI::App& app, Flags& flags) {
  CLI::App& group = *app.add_option_group("Storage");
  command_line::AddEtcdFlags(group, {flags.etcd, flags.etcd_prefix, flags.etcd_password_file});
  AddDuration(group, "--etcd-keepalive-time", flags.etcd.keepalive_time,
              "How often a silent connection is probed; etcd allows every 5s");
  AddDuration(group, "--etcd-keepalive-timeout", flags.etcd.keepalive_timeout,
              "When a probe that isn't answered means a dead connection");
  AddDuration(group, "--etcd-request-timeout", flags.reflector.list.request_timeout,
              "Longest time for one page of a list");
  AddDuration(group, "--freshness-read-timeout", flags.reflector.barrier.read_timeout,
              "Longest wait of a request until its answer is known to be current, and of the read "
              "that tells");
  group
      .add_option("--max-freshness-waiters", flags.reflector.barrier.max_waiters,
                  "Requests that may wait for the backend; more get 429")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  group
      .add_option("--list-page-size", flags.reflector.list.page_size,
                  "Records in one page of a list")
      ->check(CLI::Range(int64_t{1}, int64_t{100'000}))
      ->capture_default_str();
  group
      .add_option("--list-page-bytes", flags.reflector.list.page_bytes,
                  "A page of a list that is larger makes the next ones smaller")
      ->check(CLI::Range(size_t{1} << 10, size_t{1} << 30))
      ->capture_default_str();
  group
      .add_option("--list-parallelism", flags.reflector.list.parallelism,
                  "Pages of a list that are fetched or decoded at a time")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  group
      .add_option("--data-dir", flags.data_dir,
                  "Directory of the embedded store; made if it isn't there")
      ->type_name("DIR");
  group
      .add_option("--serve", flags.serve,
                  "What is served: all, or the layers of image streams alone, for which no whole "
                  "records are kept")
      ->check(CLI::IsMember({"all", "layers"}))
      ->capture_default_str();
  group
      .add_option("--cache-dir", flags.replica.cache_dir,
                  "Directory for a copy of etcd's records, from which whole objects are read; made "
                  "if it isn't there. Without it a temporary one")
      ->type_name("DIR");
  AddBytes(group, "--watch-cache-bytes", flags.objects.watches.cache_bytes.most(),
           "Bytes of events that watches share; a slower watch reads on from the history");
  AddBytes(group, "--watch-buffer-bytes", flags.objects.watches.buffer_bytes.most(),
           "Bytes of events that were made for watches and aren't sent, three quarters of them "
           "one user's; beyond them a watch ends, and its client goes on where it is");
  AddBytes(group, "--layers-history-bytes", flags.views.history.max_bytes.most(),
           "Bytes of what changes of layers replaced, kept for watches and lists of older "
           "revisions");
  AddBytes(group, "--layers-usage-bytes", flags.views.usage_bytes,
           "Bytes of usages of namespaces that were counted and are kept for whoever asks "
           "before anything changes, but for the last ones, however large; others are "
           "counted anew");
  group
      .add_option("--list-buffer-bytes", flags.objects.list_buffer_bytes.most(),
                  "Bytes of all lists that are made before their heads are known; beyond them they "
                  "are made a second time")
      ->check(CLI::Range(size_t{0}, size_t{1} << 40))
      ->capture_default_str();
  AddDuration(group, "--watch-history-age", flags.replica.history_age,
              "How long it is kept what changed, for watches and lists of older revisions");
  AddBytes(group, "--watch-history-bytes", flags.replica.history_bytes,
           "Bytes of changes that are kept");
  group
      .add_option("--response-cache-bytes", flags.index.cache_bytes.most(),
                  "Bytes of encoded answers that are kept")
      ->capture_default_str();
  group
      .add_option("--max-entries-per-answer", flags.index.max_entries_per_answer,
                  "Images and layers that one answer may name")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

void AddSourceFlags(CLI::App& app, Flags& flags) {
  CLI::App& group = *app.add_option_group("Records of an API server");
  group
      .add_option("--source", flags.source,
                  "Where the records are: etcd, by --etcd-servers or --data-dir, or kube: an API "
                  "server that serves images and image streams, where they are listed and watched")
      ->check(CLI::IsMember({"etcd", Flags::kKubeSource}))
      ->capture_default_str();
  AddFile(group, "--source-kubeconfig", flags.source_kubeconfig,
          "kubeconfig of that API server; without it that of --kubeconfig, and without "
          "either the pod's own cluster");
  AddDuration(group, "--source-request-timeout", flags.kube_source.feed.list_timeout,
              "Longest time for one page of a list, and for silence in a list by a watch");
  AddDuration(group, "--source-probe-interval", flags.kube_source.probe_interval,
              "How often the API server is asked for a sign of life");
  AddDuration(group, "--source-silence-time", flags.kube_source.silence_time,
              "Requests wait, and fail, while it has given none for this time");
  kube_source::Lookups::Options& lookups = flags.kube_source.lookups;
  AddDuration(group, "--source-lookup-timeout", lookups.timeout,
              "Longest time for a record that is read by its name, since the watch hasn't brought "
              "it");
  AddDuration(group, "--source-absent-ttl", lookups.absent_time,
              "How long it is kept that there is no such record, at most 1s", Zero::kAllowed);
  group
      .add_option("--source-lookups-inflight", lookups.most_in_flight,
                  "Records that are read by name at a time")
      ->check(CLI::Range(size_t{1}, size_t{1} << 10))
      ->capture_default_str();
  group
      .add_option("--source-lookup-queue", lookups.most_waiting,
                  "Names that may wait for that, half of them one user's; what needs more gets 429")
      ->check(CLI::Range(size_t{1}, size_t{1} << 20))
      ->capture_default_str();
}

// Who holds the records: one of three.
base::Status CompleteSource(Flags& flags) {
  const bool etcd = !flags.etcd.endpoints.empty(), store = !flags.data_dir.empty();
  if (flags.source == Flags::kKubeSource) {
    if (etcd || store) {
      return base::InvalidArgumentError(fmt::format(
          "--source=kube and {} exclude each other: give the one that holds the records",
          etcd ? "--etcd-servers" : "--data-dir"));
    }
    if (flags.kube_source.lookups.absent_time > kMostAbsentTime)
      return base::InvalidArgumentError("--source-absent-ttl is at most 1s");
    if (flags.kube_source.silence_time < flags.kube_source.probe_interval) {
      return base::InvalidArgumentError(
          "--source-silence-time is at least --source-probe-interval, at which signs of life come");
    }
    if (flags.source_kubeconfig.empty()) flags.source_kubeconfig = flags.kubeconfig;
    flags.kube_source.feed.page_size = flags.reflector.list.page_size;
    flags.kube_source.barrier = flags.reflector.barrier;
    return base::OkStatus();
  }
  if (!flags.source_kubeconfig.empty()) {
    return base::InvalidArgumentError("--source-kubeconfig has no effect without --source=kube");
  }
  if (etcd && store) {
    return base::InvalidArgumentError(
        "--etcd-servers and --data-dir exclude each other: give the one that holds the records");
  }
  if (!etcd && !store) {
    return base::InvalidArgumentError(
        "one of --etcd-servers and --data-dir is needed, or --source=kube: where are the records?");
  }
  return base::OkStatus();
}

}  // namespace

void AddRecordFlags(CLI::App& app, Flags& flags) {
  AddStorageFlags(app, flags);
  AddSourceFlags(app, flags);
}

base::Status CompleteRecords(Flags& flags) {
  STRATA_RETURN_IF_ERROR(CompleteSource(flags));
  if (!flags.replica.cache_dir.empty() && !flags.data_dir.empty()) {
    return base::InvalidArgumentError(
        "--cache-dir has no effect with --data-dir, which holds the records themselves");
  }
  if (!flags.replica.cache_dir.empty() && flags.serve == "layers") {
    return base::InvalidArgumentError("--cache-dir has no effect with --serve=layers");
  }
  return command_line::CompleteEtcdFlags({flags.etcd, flags.etcd_prefix, flags.etcd_password_file});
}

}  // namespace strata::start

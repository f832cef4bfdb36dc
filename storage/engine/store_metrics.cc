#include "storage/engine/store_metrics.h"

#include <vector>

namespace strata::engine {
namespace {

// As etcd's: a millisecond to eight seconds.
std::vector<double> CommitBuckets() {
  std::vector<double> buckets;
  for (double bound = .001; buckets.size() < 14; bound *= 2) buckets.push_back(bound);
  return buckets;
}

}  // namespace

StoreMetrics::StoreMetrics(obs::Metrics& metrics)
    : writes(metrics.AddCounter("etcd_server_proposals_committed_total",
                                "Writes that were committed.")),
      applied(metrics.AddCounter("etcd_server_proposals_applied_total",
                                 "Writes that reads see: each that was committed.")),
      commits(metrics.AddCounter("strata_store_commits_total",
                                 "Commits; writes that wait together share one.")),
      commit_seconds(metrics.AddHistogram("etcd_disk_backend_commit_duration_seconds",
                                          "From taking the writes to their being visible.",
                                          CommitBuckets())),
      fsync_seconds(metrics.AddHistogram("etcd_disk_wal_fsync_duration_seconds",
                                         "Until the writes are durable in the log.",
                                         CommitBuckets())),
      revision(metrics.AddGauge("etcd_debugging_mvcc_current_revision", "The newest revision.")),
      compacted(metrics.AddGauge("etcd_debugging_mvcc_compact_revision",
                                 "The revision that history begins at.")),
      file_bytes(metrics.AddGauge("etcd_mvcc_db_total_size_in_bytes", "Size of the file.")),
      used_bytes(metrics.AddGauge("etcd_mvcc_db_total_size_in_use_in_bytes",
                                  "Bytes of the file that hold something.")),
      quota_bytes(metrics.AddGauge("etcd_server_quota_backend_bytes",
                                   "Bytes that records may take; 0: no limit.")),
      wal_pending_bytes(
          metrics.AddGauge("strata_store_wal_pending_bytes",
                           "Bytes of the write-ahead log that the file may lack; at most "
                           "64 MiB, where writes wait for the file.")),
      pending_writes(metrics.AddGauge("etcd_server_proposals_pending", "Writes that wait.")),
      refused_writes(metrics.AddCounter(
          "etcd_server_proposals_failed_total",
          "Writes refused because too many were waiting, or for want of room.")) {}

}  // namespace strata::engine

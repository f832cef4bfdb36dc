#include "storage/replica/replica_metrics.h"

namespace strata::replica {

ReplicaMetrics::ReplicaMetrics(obs::Metrics& metrics)
    : ready(metrics.AddGauge("strata_replica_ready",
                             "1 while the replica has the records; without it lists and watches "
                             "are refused.")),
      records(metrics.AddGauge("strata_replica_records", "Records in the replica.")),
      history_bytes(metrics.AddGauge("strata_replica_history_bytes",
                                     "Bytes of changes that watches can still be given.")),
      oldest(metrics.AddGauge("strata_replica_oldest_revision",
                              "The revision that its history begins at.")),
      newest(
          metrics.AddGauge("strata_replica_newest_revision", "The revision that it has come to.")),
      file_bytes(metrics.AddGauge("strata_replica_file_bytes", "Size of its file.")),
      used_bytes(
          metrics.AddGauge("strata_replica_used_bytes", "Bytes of the file that hold something.")),
      lists(metrics.AddCounter("strata_replica_lists_total", "Lists that it took in.")),
      lists_unchanged(
          metrics.AddCounter("strata_replica_lists_unchanged_total",
                             "Those that had nothing new, so that its history went on.")),
      errors(metrics.AddCounter("strata_replica_errors_total",
                                "Times that it lost the records, to a full disk or a damaged "
                                "file.")),
      backend_reads(metrics.AddCounter("strata_replica_backend_reads_total",
                                       "Reads at revisions that only the backend still has.")) {}

}  // namespace strata::replica

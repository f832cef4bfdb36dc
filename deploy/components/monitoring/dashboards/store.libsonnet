local grafana = import 'grafana.libsonnet';

{
  local of = { s: $._config.storeSelector + ', instance=~"$instance"' },
  local graph(title, unit, targets, description=null) =
    grafana.graph(title, unit, [[target[0], target[1] % of] for target in targets], description),

  grafanaDashboards+:: {
    'strata-store.json': grafana.dashboard(
      $._config,
      'strata-store',
      'Store',
      'etcd_server_has_leader{%s}' % $._config.storeSelector,
      [
        ['Calls', [
          graph('Calls', 'reqps', [
            ['{{grpc_method}}', 'sum by (grpc_method) (rate(grpc_server_started_total{%(s)s}[$__rate_interval]))'],
          ]),
          graph('Results', 'reqps', [
            ['{{grpc_code}}', 'sum by (grpc_code) (rate(grpc_server_handled_total{%(s)s}[$__rate_interval]))'],
          ]),
          graph('Time, 99th percentile', 's', [
            ['{{grpc_method}}', 'histogram_quantile(0.99, sum by (grpc_method, le) (rate(grpc_server_handling_seconds_bucket{%(s)s, grpc_type="unary"}[$__rate_interval])))'],
          ]),
        ]],
        ['Writes', [
          graph('Writes', 'ops', [
            ['{{instance}} committed', 'rate(etcd_server_proposals_committed_total{%(s)s}[$__rate_interval])'],
            ['{{instance}} refused', 'rate(etcd_server_proposals_failed_total{%(s)s}[$__rate_interval])'],
            ['{{instance}} commits', 'rate(strata_store_commits_total{%(s)s}[$__rate_interval])'],
          ], 'Writes that wait together share a commit.'),
          graph('Time, 99th percentile', 's', [
            ['{{instance}} commit', 'histogram_quantile(0.99, sum by (instance, le) (rate(etcd_disk_backend_commit_duration_seconds_bucket{%(s)s}[$__rate_interval])))'],
            ['{{instance}} fsync', 'histogram_quantile(0.99, sum by (instance, le) (rate(etcd_disk_wal_fsync_duration_seconds_bucket{%(s)s}[$__rate_interval])))'],
          ]),
          graph('Waiting', 'short', [
            ['{{instance}} writes', 'etcd_server_proposals_pending{%(s)s}'],
          ]),
        ]],
        ['Space', [
          graph('Records', 'bytes', [
            ['{{instance}} in use', 'etcd_mvcc_db_total_size_in_use_in_bytes{%(s)s}'],
            ['{{instance}} file', 'etcd_mvcc_db_total_size_in_bytes{%(s)s}'],
            ['{{instance}} quota', 'etcd_server_quota_backend_bytes{%(s)s}'],
          ], 'At the quota writes are refused.'),
          graph('Log that the file lacks', 'bytes', [
            ['{{instance}}', 'strata_store_wal_pending_bytes{%(s)s}'],
          ], 'What a start after a crash has to do again; at 64 MiB writes wait.'),
          graph('History', 'short', [
            ['{{instance}} revisions kept', 'etcd_debugging_mvcc_current_revision{%(s)s} - etcd_debugging_mvcc_compact_revision{%(s)s}'],
          ]),
        ]],
        ['Watches and answers', [
          graph('Watches', 'short', [
            ['{{instance}} watches', 'etcd_debugging_mvcc_watcher_total{%(s)s}'],
            ['{{instance}} streams', 'etcd_debugging_mvcc_watch_stream_total{%(s)s}'],
          ]),
          graph('Answers in memory', 'bytes', [
            ['{{instance}}', 'strata_store_answer_bytes{%(s)s}'],
          ]),
          graph('Alarms, and answers refused', 'short', [
            ['{{instance}} {{alarm}}', 'strata_store_alarm{%(s)s}'],
            ['{{instance}} refused in 5 minutes', 'increase(strata_store_answers_refused_total{%(s)s}[5m])'],
          ]),
        ]],
        ['Process', [
          graph('Memory', 'bytes', [
            ['{{instance}}', 'process_resident_memory_bytes{%(s)s}'],
          ]),
          graph('CPU', 'short', [
            ['{{instance}}', 'rate(process_cpu_seconds_total{%(s)s}[$__rate_interval])'],
          ]),
          graph('Open files', 'short', [
            ['{{instance}}', 'process_open_fds{%(s)s}'],
          ]),
        ]],
      ]
    ),
  },
}

local grafana = import 'grafana.libsonnet';

{
  local of = { s: $._config.serverSelector + ', instance=~"$instance"' },
  local graph(title, unit, targets, description=null) =
    grafana.graph(title, unit, [[target[0], target[1] % of] for target in targets], description),

  grafanaDashboards+:: {
    'strata-server.json': grafana.dashboard(
      $._config,
      'strata-server',
      'Server',
      'apiserver_current_inflight_requests{%s}' % $._config.serverSelector,
      [
        ['Requests', [
          graph('Requests', 'reqps', [
            ['{{verb}} {{resource}} {{subresource}} {{code}}', 'sum by (verb, resource, subresource, code) (rate(apiserver_request_total{%(s)s}[$__rate_interval]))'],
          ]),
          graph('Time to answer, 99th percentile', 's', [
            ['{{verb}} {{resource}} {{subresource}}', 'max by (verb, resource, subresource) (strata:request_duration_seconds:p99{%(s)s})'],
          ]),
          graph('In flight', 'short', [
            ['{{instance}} {{request_kind}}', 'apiserver_current_inflight_requests{%(s)s}'],
            ['{{instance}} watches', 'sum by (instance) (apiserver_longrunning_requests{%(s)s})'],
            ['{{instance}} cut off, {{code}}', 'sum by (instance, code) (rate(apiserver_request_terminations_total{%(s)s}[$__rate_interval]))'],
          ]),
        ]],
        ['Freshness', [
          graph('Wait for the backend', 's', [
            ['{{instance}} p99', 'strata:freshness_wait_seconds:p99{%(s)s}'],
          ], 'How long requests wait until the index is as new as the backend was when they came.'),
          graph('Reads of its revision', 'ops', [
            ['{{instance}} reads', 'rate(strata_freshness_reads_total{%(s)s}[$__rate_interval])'],
            ['{{instance}} errors', 'rate(strata_freshness_read_errors_total{%(s)s}[$__rate_interval])'],
          ]),
          graph('Watch', 'short', [
            ['{{instance}} breaks in 5 minutes', 'increase(strata_watch_breaks_total{%(s)s}[5m])'],
            ['{{instance}} takeovers in 5 minutes', 'increase(strata_watch_takeovers_total{%(s)s}[5m])'],
            ['{{instance}} lists in 5 minutes, {{reason}}', 'increase(strata_relists_total{%(s)s}[5m])'],
            ['{{instance}} standby', 'strata_watch_standby{%(s)s}'],
          ]),
        ]],
        ['Records', [
          graph('Records', 'short', [
            ['{{instance}} {{resource}}', 'apiserver_storage_objects{%(s)s}'],
            ['{{instance}} unreadable {{resource}}', 'strata_unreadable_records{%(s)s}'],
          ]),
          graph('Changes', 'ops', [
            ['{{instance}} {{resource}}', 'rate(strata_watch_events_total{%(s)s}[$__rate_interval])'],
          ]),
          graph('Answers from the cache', 'percentunit', [
            ['{{instance}}', 'strata:response_cache_hits:ratio{%(s)s}'],
          ]),
        ]],
        ['Lists and watches', [
          graph('Copy of the records', 'bytes', [
            ['{{instance}} file', 'strata_replica_file_bytes{%(s)s}'],
            ['{{instance}} in use', 'strata_replica_used_bytes{%(s)s}'],
            ['{{instance}} history', 'strata_replica_history_bytes{%(s)s}'],
          ]),
          graph('Watches', 'short', [
            ['{{instance}} {{resources}}', 'strata_watches{%(s)s}'],
            ['{{instance}} {{resources}} fell behind in 5 minutes', 'increase(strata_watches_behind_total{%(s)s}[5m])'],
          ]),
          graph('Buffers', 'bytes', [
            ['{{instance}} watches {{resources}}', 'strata_watch_buffer_bytes{%(s)s}'],
            ['{{instance}} events {{resources}}', 'strata_watch_cache_bytes{%(s)s}'],
            ['{{instance}} lists', 'strata_list_buffer_bytes{%(s)s}'],
            ['{{instance}} unread answers', 'strata_http_unread_response_bytes{%(s)s}'],
          ]),
        ]],
        ['Connections and workers', [
          graph('Connections', 'short', [
            ['{{instance}} {{protocol}}', 'strata_connections{%(s)s}'],
          ]),
          graph('Refused or cut', 'ops', [
            ['{{instance}} {{reason}}', 'rate(strata_connections_rejected_total{%(s)s}[$__rate_interval])'],
            ['{{instance}} handshakes that failed', 'rate(apiserver_tls_handshake_errors_total{%(s)s}[$__rate_interval])'],
          ]),
          graph('Waiting for a worker', 'short', [
            ['{{instance}} {{pool}}', 'strata_worker_queue_length{%(s)s}'],
          ]),
        ]],
        ['Process', [
          graph('Memory', 'bytes', [
            ['{{instance}}', 'process_resident_memory_bytes{%(s)s}'],
          ]),
          graph('CPU', 'short', [
            ['{{instance}}', 'rate(process_cpu_seconds_total{%(s)s}[$__rate_interval])'],
          ]),
          graph('Certificates end in', 's', [
            ['{{instance}} serving', 'strata_serving_certificate_expiration_timestamp_seconds{%(s)s} - time()'],
            ['{{instance}} for etcd', 'strata_etcd_client_certificate_expiration_timestamp_seconds{%(s)s} - time()'],
          ]),
        ]],
      ]
    ),
  },
}

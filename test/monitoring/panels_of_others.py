"""What dashboards and alerts of others ask the two programs for, as they ask it: the job's name is what they are told."""

SERVER = 'job="strata-apiserver", instance=~".*"'
# Its own objective is by choice: scraped without the rule of the ServiceMonitor that drops the histogram.
OBJECTIVE = 'job="with-objective"'
STORE = 'job="strata-etcd"'
FAILURES = "Unknown|FailedPrecondition|ResourceExhausted|Internal|Unavailable|DataLoss|DeadlineExceeded"
P99 = "histogram_quantile(0.99, sum by ({0}, le) (rate({1}_bucket{{{2}}}[1m])))"


def open_streams(service):
    of = f'{{{STORE}, grpc_service="etcdserverpb.{service}", grpc_type="bidi_stream"}}'
    return f"sum(grpc_server_started_total{of}) - sum(grpc_server_handled_total{of})"


# kubernetes-mixin with kubeApiserverSelector. Not asked for: queues and the runtime of Go, which this server hasn't.
API_SERVER = [
    f"sum(up{{{SERVER}}})",
    *(f'sum(rate(apiserver_request_total{{{SERVER}, code=~"{code}"}}[1m]))' for code in ("2..", "4..", "5..")),
    f'sum by (resource) (rate(apiserver_request_total{{{SERVER}, verb=~"LIST|GET"}}[1m]))',
    P99.format("verb", "apiserver_request_duration_seconds", SERVER + ', verb!="WATCH"'),
    f"sum(rate(apiserver_request_terminations_total{{{SERVER}}}[1m]))",
    f"apiserver_client_certificate_expiration_seconds_count{{{SERVER}}} > 0",
    P99.format("job", "apiserver_client_certificate_expiration_seconds", SERVER),
    f"process_resident_memory_bytes{{{SERVER}}}",
    f"rate(process_cpu_seconds_total{{{SERVER}}}[1m])",
    *(
        f'sum(rate(apiserver_request_sli_duration_seconds_bucket{{{OBJECTIVE}, verb=~"LIST|GET", scope=~"{scope}", le="{le}"}}[1m]))'
        for scope, le in (("resource|", 1), ("namespace", 5), ("cluster", 30))
    ),
    f'sum by (verb) (rate(apiserver_request_sli_duration_seconds_count{{{OBJECTIVE}, verb=~"LIST|GET"}}[1m]))',
]

# etcd's mixin. Not asked for: peers, of which a store has none.
ETCD = [
    f"sum(etcd_server_has_leader{{{STORE}}})",
    f"changes(etcd_server_leader_changes_seen_total{{{STORE}}}[1d])",
    f'sum(rate(grpc_server_started_total{{{STORE}, grpc_type="unary"}}[1m]))',
    f'sum(rate(grpc_server_handled_total{{{STORE}, grpc_type="unary", grpc_code=~"{FAILURES}"}}[1m]))',
    P99.format("grpc_method", "grpc_server_handling_seconds", STORE + ', grpc_type="unary"'),
    open_streams("Watch"),
    open_streams("Lease"),
    P99.format("instance", "etcd_disk_wal_fsync_duration_seconds", STORE),
    P99.format("instance", "etcd_disk_backend_commit_duration_seconds", STORE),
    f"etcd_mvcc_db_total_size_in_bytes{{{STORE}}} / etcd_server_quota_backend_bytes{{{STORE}}}",
    f"etcd_mvcc_db_total_size_in_use_in_bytes{{{STORE}}}",
    *(f"rate(etcd_network_client_grpc_{way}_bytes_total{{{STORE}}}[1m])" for way in ("received", "sent")),
    *(f"rate(etcd_server_proposals_{what}_total{{{STORE}}}[1m])" for what in ("failed", "committed", "applied")),
    f"etcd_server_proposals_pending{{{STORE}}}",
    f"process_resident_memory_bytes{{{STORE}}}",
]

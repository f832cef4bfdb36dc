// Each alert has a section of its name in docs/operations.md: what it means, what to look at, what to do.
{
  local alert(severity, name, wait, expr, summary, description) = {
    alert: name,
    expr: expr % $._config,
    'for': wait,
    labels: { severity: severity },
    annotations: {
      summary: summary,
      description: description,
      runbook_url: '%s#%s' % [$._config.runbooks, std.asciiLower(name)],
    },
  },

  prometheusAlerts+:: {
    groups+: [
      {
        name: 'strata-apiserver',
        rules: [
          alert(
            'critical',
            'StrataDown',
            '5m',
            'absent(up{%(serverSelector)s} == 1)',
            'No Strata server is seen.',
            'Prometheus has no strata-apiserver that it can scrape. The APIServices that name it may be unavailable.'
          ),
          alert(
            'critical',
            'StrataNotReady',
            '5m',
            'min by (job, namespace, pod, instance, name) (kubernetes_healthcheck{%(serverSelector)s, type="readyz"}) == 0',
            'A Strata server is not ready.',
            'Check {{ $labels.name }} of /readyz fails at {{ $labels.instance }}: no request is sent there.'
          ),
          alert(
            'warning',
            'StrataWatchBroken',
            '5m',
            'increase(strata_watch_breaks_total{%(serverSelector)s}[30m]) > 4',
            'The watch of the storage backend breaks again and again.',
            '{{ $value | humanize }} times in half an hour at {{ $labels.instance }}.'
          ),
          alert(
            'warning',
            'StrataRelisting',
            '5m',
            'sum without (reason) (increase(strata_relists_total{%(serverSelector)s, reason!="start"}[30m])) > 2',
            'All records are listed again and again.',
            '{{ $value | humanize }} times in half an hour at {{ $labels.instance }}. Requests wait meanwhile.'
          ),
          alert(
            'critical',
            'StrataFreshnessFailing',
            '5m',
            'rate(strata_freshness_read_errors_total{%(serverSelector)s}[2m]) > 0',
            "The storage backend doesn't say what is current.",
            "Reads of the backend's revision fail at {{ $labels.instance }}; requests that wait for them get 504."
          ),
          alert(
            'warning',
            'StrataFreshnessSlow',
            '10m',
            'strata:freshness_wait_seconds:p99{%(serverSelector)s} > %(freshnessWarningSeconds)g',
            'Requests wait for the storage backend.',
            'One in a hundred waits {{ $value | humanizeDuration }} or longer at {{ $labels.instance }}.'
          ),
          alert(
            'warning',
            'StrataUnreadableRecords',
            '15m',
            'strata_unreadable_records{%(serverSelector)s} > 0',
            'Some records cannot be read.',
            '{{ $value }} {{ $labels.resource }} at {{ $labels.instance }}.'
          ),
          // Longer than the first list takes, and than a disk that is made room on.
          alert(
            'critical',
            'StrataReplicaNotReady',
            '15m',
            'strata_replica_ready{%(serverSelector)s} == 0',
            'Whole records are not kept, so lists and watches of them are refused.',
            'At {{ $labels.instance }}; layers are served on.'
          ),
          alert(
            'warning',
            'StrataRejectsConnections',
            '10m',
            'sum by (job, namespace, pod, instance, reason) (rate(strata_connections_rejected_total{%(serverSelector)s}[5m])) > 0.1',
            'Connections are refused or cut.',
            '{{ $value | humanize }} in a second at {{ $labels.instance }}, for {{ $labels.reason }}.'
          ),
          alert(
            'warning',
            'StrataMemoryShort',
            '5m',
            'strata_memory_pressure{%(serverSelector)s} == 1',
            'Memory is short, so requests are refused and less is cached.',
            'At {{ $labels.instance }}.'
          ),
          alert(
            'warning',
            'StrataAuditDropping',
            '5m',
            'increase(apiserver_audit_error_total{%(serverSelector)s}[15m]) > 0',
            'Events of the audit log are lost.',
            '{{ $value | humanize }} in a quarter of an hour at {{ $labels.instance }}.'
          ),
        ] + [
          // The warning lasts beside the critical one: an inhibition rule of the usual kind hides it.
          alert(
            severity,
            certificate.name,
            '15m',
            '%s{%%(serverSelector)s} - time() < %%(certificate%sSeconds)d' % [certificate.metric, limit],
            'A certificate ends soon and was not renewed.',
            '%s of {{ $labels.instance }} ends in {{ $value | humanizeDuration }}.' % certificate.what
          )
          for certificate in [
            {
              name: 'StrataServingCertificateEnds',
              metric: 'strata_serving_certificate_expiration_timestamp_seconds',
              what: 'The serving certificate',
            },
            {
              name: 'StrataEtcdCertificateEnds',
              metric: 'strata_etcd_client_certificate_expiration_timestamp_seconds',
              what: 'The client certificate for etcd',
            },
          ]
          for severity in ['warning', 'critical']
          for limit in [if severity == 'warning' then 'Warning' else 'Critical']
        ],
      },
      {
        name: 'strata-storage',
        rules: [
          // Of a target that there is: a server on an etcd of others has no store.
          alert(
            'critical',
            'StrataStoreDown',
            '3m',
            'up{%(storeSelector)s} == 0',
            'The store is not seen.',
            'Prometheus cannot scrape {{ $labels.instance }}.'
          ),
          alert(
            'critical',
            'StrataStoreAlarm',
            '1m',
            'strata_store_alarm{%(anyStoreSelector)s} == 1',
            'The store has raised an alarm.',
            '{{ $labels.alarm }} at {{ $labels.instance }}.'
          ),
          alert(
            'warning',
            'StrataStoreNearlyFull',
            '10m',
            'etcd_mvcc_db_total_size_in_use_in_bytes{%(storeSelector)s} / (etcd_server_quota_backend_bytes{%(storeSelector)s} > 0) > %(storeQuotaWarningRatio)g',
            'The store comes to its quota.',
            '{{ $value | humanizePercentage }} of it are used at {{ $labels.instance }}; at all of it writes are refused.'
          ),
          alert(
            'warning',
            'StrataStoreWalBehind',
            '10m',
            'strata_store_wal_pending_bytes{%(anyStoreSelector)s} > %(storeWalWarningBytes)d',
            'The file of the store lags behind its log.',
            '{{ $value | humanize1024 }}B at {{ $labels.instance }}; at 64 MiB writes wait.'
          ),
          // Of the component backup, and by kube-state-metrics: without either nobody is told anything.
          alert(
            'warning',
            'StrataBackupMissing',
            '15m',
            'time() - (kube_cronjob_status_last_successful_time{%(backupSelector)s} or kube_cronjob_created{%(backupSelector)s}) > %(backupWarningSeconds)d',
            'No snapshot of the store has been taken for a day.',
            'The last one of CronJob {{ $labels.cronjob }}, or itself where there is none, is {{ $value | humanizeDuration }} old.'
          ),
        ],
      },
    ],
  },
}

// What alerts and dashboards share.
{
  prometheusRules+:: {
    groups+: [
      {
        name: 'strata.rules',
        rules: [
          {
            record: 'strata:freshness_wait_seconds:p99',
            expr: |||
              histogram_quantile(0.99, sum by (job, namespace, pod, instance, le) (
                rate(strata_freshness_wait_seconds_bucket{%(serverSelector)s}[5m])
              ))
            ||| % $._config,
          },
          {
            record: 'strata:request_duration_seconds:p99',
            expr: |||
              histogram_quantile(0.99, sum by (job, namespace, pod, instance, verb, resource, subresource, le) (
                rate(apiserver_request_duration_seconds_bucket{%(serverSelector)s, verb!="WATCH"}[5m])
              ))
            ||| % $._config,
          },
          {
            record: 'strata:response_cache_hits:ratio',
            expr: |||
              rate(strata_response_cache_hits_total{%(serverSelector)s}[5m])
              /
              (
                rate(strata_response_cache_hits_total{%(serverSelector)s}[5m])
                + rate(strata_response_cache_misses_total{%(serverSelector)s}[5m])
              )
            ||| % $._config,
          },
        ],
      },
    ],
  },
}

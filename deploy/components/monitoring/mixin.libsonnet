// Alerts, recording rules and dashboards for Strata, as monitoring mixins have them: imported beside others, or rendered
// by manifests.jsonnet. What is a cluster's own is changed through `_config`.
(import 'config.libsonnet') +
(import 'rules.libsonnet') +
(import 'alerts.libsonnet') +
(import 'dashboards/dashboards.libsonnet')

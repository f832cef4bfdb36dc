// What a cluster is given of the mixin: jsonnet -m rendered manifests.jsonnet
local mixin = import 'mixin.libsonnet';

{
  'prometheusrule.json': {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PrometheusRule',
    metadata: { name: 'strata', namespace: 'strata' },
    spec: { groups: mixin.prometheusAlerts.groups + mixin.prometheusRules.groups },
  },
} + mixin.grafanaDashboards

// As much of Grafana's model of a dashboard as ours need: rows of graphs over one choice of instances.
{
  // `targets` is [[legend, expression], ...].
  graph(title, unit, targets, description=null):: {
    title: title,
    [if description != null then 'description']: description,
    type: 'timeseries',
    datasource: { type: 'prometheus', uid: '$datasource' },
    fieldConfig: { defaults: { unit: unit, min: 0 }, overrides: [] },
    options: { legend: { showLegend: true }, tooltip: { mode: 'multi' } },
    targets: [
      {
        refId: std.char(std.codepoint('A') + i),
        datasource: { type: 'prometheus', uid: '$datasource' },
        expr: targets[i][1],
        legendFormat: targets[i][0],
      }
      for i in std.range(0, std.length(targets) - 1)
    ],
  },

  // `rows` is [[title, graphs], ...], of three graphs at most; `instances` is the metric whose instances are chosen from.
  dashboard(config, uid, title, instances, rows):: {
    uid: uid,
    title: config.dashboardPrefix + title,
    tags: config.dashboardTags,
    editable: true,
    schemaVersion: 39,
    refresh: '30s',
    time: { from: 'now-1h', to: 'now' },
    timezone: 'utc',
    templating: {
      list: [
        { name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus', refresh: 1 },
        {
          name: 'instance',
          label: 'Instance',
          type: 'query',
          datasource: { type: 'prometheus', uid: '$datasource' },
          query: 'label_values(%s, instance)' % instances,
          refresh: 2,
          includeAll: true,
          allValue: '.*',
          multi: true,
          current: { text: 'All', value: '$__all' },
        },
      ],
    },
    panels: std.flattenArrays([
      local row = rows[r][1];
      [{ type: 'row', title: rows[r][0], id: 10 * (r + 1), gridPos: { x: 0, y: 9 * r, w: 24, h: 1 }, panels: [] }] +
      [
        row[i] { id: 10 * (r + 1) + i + 1, gridPos: { x: i * (24 / std.length(row)), y: 9 * r + 1, w: 24 / std.length(row), h: 8 } }
        for i in std.range(0, std.length(row) - 1)
      ]
      for r in std.range(0, std.length(rows) - 1)
    ]),
  },
}

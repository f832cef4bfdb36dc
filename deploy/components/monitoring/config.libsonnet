{
  _config+:: {
    // The jobs that servicemonitors.yaml names. The store's is found by etcd's own mixin too, which looks for etcd in it.
    serverSelector: 'job="strata-apiserver"',
    storeSelector: 'job="strata-etcd"',
    // A server with --data-dir has a store, too.
    anyStoreSelector: 'job=~"strata-etcd|strata-apiserver"',
    // Of components/backup.
    backupSelector: 'cronjob="strata-backup"',

    // Where docs/operations.md is read. Nobody publishes this tree: give the address of your copy.
    runbooks: 'docs/operations.md',

    // Certificates are renewed long before these, by whoever issues them: who is told has to look why that failed.
    certificateWarningSeconds: 14 * 24 * 3600,
    certificateCriticalSeconds: 2 * 24 * 3600,

    // A request waits for one round trip to the backend. kube-apiserver's own reads of an etcd take as long.
    freshnessWarningSeconds: 0.05,

    // At 64 MiB writes wait for the file.
    storeWalWarningBytes: 32 * 1024 * 1024,

    // At the whole quota writes are refused.
    storeQuotaWarningRatio: 0.8,

    // Three in a row failed, of one every six hours, and the fourth is late.
    backupWarningSeconds: 24 * 3600,

    dashboardTags: ['strata'],
    dashboardPrefix: 'Strata / ',
  },
}

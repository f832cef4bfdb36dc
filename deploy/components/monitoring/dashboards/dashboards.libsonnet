(import 'server.libsonnet') + (import 'store.libsonnet')

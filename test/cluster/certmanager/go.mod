// Which cert-manager the manifests are held against: its definitions alone are taken from the module.
module strata/test/cluster/certmanager

go 1.24.0

require github.com/cert-manager/cert-manager v1.18.2

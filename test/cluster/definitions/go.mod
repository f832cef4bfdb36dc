// Whose definitions the manifests are held against: they alone are taken from the modules.
module strata/test/cluster/definitions

go 1.26.0

require (
	github.com/cert-manager/cert-manager v1.18.2
	github.com/kyverno/kyverno v1.19.1
	github.com/open-policy-agent/frameworks/constraint v0.0.0-20260616163050-e1eaa1bf6d62
)
